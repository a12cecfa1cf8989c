//! Reading one profile: the source's row with the live overrides over it (rules 5.1).
//! Owns the merge, redirects at reading and the ETag. Must not change anything.

use std::fmt::Write as _;
use std::sync::Arc;

use sanntid_types::{
    EntitySchema, Error, ErrorCode, Instant, ProfileId, Row, RowBuilder, scalar_of,
};

use crate::overlay::{Overlay, Override};
use crate::ports::{View, ViewError};
use crate::tenant::TenantState;

/// Says where a field's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldOrigin<'a> {
    Source,
    /// An override, over the source's JSON text.
    Realtime {
        change: &'a Override,
        source: &'a str,
    },
}

/// Holds one profile as it is shown now.
#[derive(Clone, Debug)]
pub struct MergedProfile {
    pub id: ProfileId,
    pub schema: Arc<EntitySchema>,
    pub row: Row,
    /// Live overrides with the ordinal of their attribute, ascending.
    overrides: Vec<(usize, Override)>,
}

impl MergedProfile {
    /// Every attribute's ordinal, JSON text as shown, and origin, in schema order.
    pub fn fields(&self) -> impl Iterator<Item = (usize, &str, FieldOrigin<'_>)> {
        let texts = self.row.iter().chain(std::iter::repeat("null"));
        let mut overrides = self.overrides.iter().peekable();
        (0..self.schema.attributes.len())
            .zip(texts)
            .map(
                move |(ordinal, source)| match overrides.next_if(|(at, _)| *at == ordinal) {
                    Some((_, change)) => (
                        ordinal,
                        change.value.as_json(),
                        FieldOrigin::Realtime { change, source },
                    ),
                    None => (ordinal, source, FieldOrigin::Source),
                },
            )
    }

    /// The JSON text of one attribute as shown.
    pub fn json(&self, ordinal: usize) -> &str {
        match self.overrides.iter().find(|(at, _)| *at == ordinal) {
            Some((_, change)) => change.value.as_json(),
            None => self.row.get(ordinal),
        }
    }

    /// How many fields are overridden.
    pub fn overridden(&self) -> usize {
        self.overrides.len()
    }

    /// The source's row alone, as `view=source` shows it.
    #[must_use]
    pub fn without_overrides(mut self) -> Self {
        self.overrides.clear();
        self
    }

    /// A hash of the content as shown, equal for equal values whatever their spelling.
    pub fn etag(&self) -> String {
        let mut content = Vec::with_capacity(64 * self.schema.attributes.len());
        let mut normal = String::new();
        for (attribute, (_, text, _)) in self.schema.attributes.iter().zip(self.fields()) {
            normal.clear();
            match scalar_of(attribute.data_type, text) {
                Some(scalar) => scalar.write_normal(&mut normal),
                None => normal.push_str(text),
            }
            push_part(&mut content, &attribute.name);
            push_part(&mut content, &normal);
        }
        let hash = blake3::hash(&content);
        let mut etag = String::with_capacity(34);
        etag.push('"');
        for byte in hash.as_bytes().iter().take(16) {
            write!(etag, "{byte:02x}").expect("writing to a String can't fail");
        }
        etag.push('"');
        etag
    }
}

/// Reads the profile that an id names now, following a redirect; `None` where there is none.
pub fn profile(
    view: &dyn View,
    tenant: &TenantState,
    clock: Instant,
    id: &ProfileId,
) -> Result<Option<MergedProfile>, Error> {
    match find(view, tenant, id)? {
        Some((id, row)) => merged(view, tenant, clock, id, row),
        None => Ok(None),
    }
}

/// Puts the live overrides over a row of `Customer` that was already read from `view`; `None`
/// where no such entity is loaded.
pub fn merged(
    view: &dyn View,
    tenant: &TenantState,
    clock: Instant,
    id: ProfileId,
    row: Row,
) -> Result<Option<MergedProfile>, Error> {
    let Some(customer) = tenant.customer() else {
        return Ok(None);
    };
    let overrides = overrides_through(view, tenant, clock, &id, Instant::MAX)?;
    Ok(Some(MergedProfile {
        id,
        schema: Arc::clone(&customer.schema),
        row,
        overrides,
    }))
}

/// The row of a profile with the live overrides that were accepted no later than `as_of`: what the
/// source would hold had it picked them up (rules 6.9); `None` where there are none.
pub fn absorbed_row(
    view: &dyn View,
    tenant: &TenantState,
    clock: Instant,
    as_of: Instant,
    id: &ProfileId,
    row: &Row,
) -> Result<Option<Row>, Error> {
    let Some(customer) = tenant.customer() else {
        return Ok(None);
    };
    let overrides = overrides_through(view, tenant, clock, id, as_of)?;
    if overrides.is_empty() {
        return Ok(None);
    }
    let mut overrides = overrides.into_iter().peekable();
    let mut absorbed = RowBuilder::default();
    let texts = row.iter().chain(std::iter::repeat("null"));
    for (ordinal, source) in (0..customer.schema.attributes.len()).zip(texts) {
        match overrides.next_if(|(at, _)| *at == ordinal) {
            Some((_, change)) => absorbed.push(&change.value),
            None => absorbed.push_json(source),
        }
    }
    Ok(Some(absorbed.finish()))
}

/// The id of the existing profile behind `id`, following a redirect.
pub(crate) fn locate(
    view: &dyn View,
    tenant: &TenantState,
    id: &ProfileId,
) -> Result<Option<ProfileId>, Error> {
    Ok(find(view, tenant, id)?.map(|(id, _)| id))
}

/// Says to the caller that stored state could not be read.
pub fn view_error(error: ViewError) -> Error {
    let code = match error {
        ViewError::Unavailable(_) => ErrorCode::TenantUnavailable,
        ViewError::Corrupt(_) => ErrorCode::Internal,
    };
    Error::new(code, error.to_string())
}

pub(crate) fn find(
    view: &dyn View,
    tenant: &TenantState,
    id: &ProfileId,
) -> Result<Option<(ProfileId, Row)>, Error> {
    let Some(customer) = tenant.customer() else {
        return Ok(None);
    };
    if let Some(row) = view.profile(customer.table, id).map_err(view_error)? {
        return Ok(Some((id.clone(), row)));
    }
    let Some(moved) = view.redirect(customer.table, id).map_err(view_error)? else {
        return Ok(None);
    };
    let row = view.profile(customer.table, &moved).map_err(view_error)?;
    Ok(row.map(|row| (moved, row)))
}

/// Of overlays that meet in one profile, the latest live override of each field (rules 6.6) that was
/// accepted no later than `through`, by its ordinal.
fn overrides_through(
    view: &dyn View,
    tenant: &TenantState,
    clock: Instant,
    id: &ProfileId,
    through: Instant,
) -> Result<Vec<(usize, Override)>, Error> {
    let mut found = Vec::new();
    let Some(customer) = tenant.customer() else {
        return Ok(found);
    };
    let mut overlays: Vec<Overlay> = view.overlay(id).map_err(view_error)?.into_iter().collect();
    for former in view.former_ids(customer.table, id).map_err(view_error)? {
        overlays.extend(view.overlay(&former).map_err(view_error)?);
    }
    if overlays.is_empty() {
        return Ok(found);
    }
    let now = tenant.now(clock);
    for (ordinal, attribute) in customer.schema.attributes.iter().enumerate() {
        if !attribute.is_writable() {
            continue;
        }
        let latest = overlays
            .iter()
            .filter_map(|overlay| {
                let (name, data_type) = (&attribute.name, attribute.data_type);
                overlay.live_through(through, name, data_type, tenant, now)
            })
            .max_by_key(|change| change.position);
        found.extend(latest.map(|change| (ordinal, change.clone())));
    }
    Ok(found)
}

fn push_part(content: &mut Vec<u8>, part: &str) {
    content.extend_from_slice(&(part.len() as u64).to_le_bytes());
    content.extend_from_slice(part.as_bytes());
}
