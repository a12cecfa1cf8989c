//! Accepting a real-time update of a profile (rules 3).
//! Owns its validation and what it stores. Must not commit.

use sanntid_types::{
    Attribute, AttributeRole, CallerName, Detail, EdmType, EntitySchema, Error, ErrorCode, Instant,
    Literal, ProfileId, Usage,
};

use crate::body;
use crate::overlay::{Overlay, Override};
use crate::ports::View;
use crate::problems::{both, shown};
use crate::profile::{find, merged, view_error};
use crate::record::Record;
use crate::tenant::TenantState;
use crate::valid_until;

/// How many updates of one field may lie over each other, each ending before the one under it.
const OVERRIDES_MAX: usize = 64;

/// Asks to change some fields of one profile for a while.
#[derive(Clone, Debug)]
pub struct PatchProfile<'a> {
    pub profile: &'a ProfileId,
    pub body: &'a [u8],
    pub valid_until: Option<Instant>,
    pub caller: Option<CallerName>,
    /// The `ETag` that the profile must have now.
    pub if_match: Option<&'a str>,
}

/// Says what to store for an accepted update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patched {
    /// The profile acted on; another than asked for where that was moved.
    pub profile: ProfileId,
    pub records: Vec<Record>,
    /// How many fields it changes.
    pub fields: usize,
    /// What the live overrides of the profile counted before it.
    pub before: Usage,
    /// What they count with it.
    pub after: Usage,
}

/// Decides about an update against the state as of now, staged writes included.
pub fn patch_profile(
    view: &dyn View,
    tenant: &TenantState,
    clock: Instant,
    command: &PatchProfile<'_>,
) -> Result<Patched, Error> {
    let now = tenant.now(clock);
    let not_found = || {
        let id = command.profile;
        Error::new(
            ErrorCode::ProfileNotFound,
            format!("there is no profile {id}"),
        )
        .with_target(id.as_str())
    };
    let customer = tenant.customer().ok_or_else(not_found)?;
    let (id, row) = find(view, tenant, command.profile)?.ok_or_else(not_found)?;
    if let Some(expected) = command.if_match {
        let merged = merged(view, tenant, clock, id.clone(), row)?.ok_or_else(not_found)?;
        if !etag_matches(expected, &merged.etag()) {
            let text = "the profile has changed since the ETag in If-Match was read";
            return Err(Error::new(ErrorCode::ETagMismatch, text).with_target("If-Match"));
        }
    }
    let accepted_at = tenant.next_accepted_at(clock);
    let default = tenant.settings.profile_ttl_default;
    let (changes, expires_at) = both(
        validate(&customer.schema, command.body),
        valid_until::resolve(command.valid_until, default, accepted_at),
    )?;

    let position = tenant.position.next();
    let mut overlay = view.overlay(&id).map_err(view_error)?.unwrap_or_default();
    overlay.compact(tenant, now);
    let (fields, before) = (changes.len(), overlay.usage(&id));
    put_over(
        &mut overlay,
        &customer.schema,
        changes,
        |data_type, value| Override {
            value,
            data_type,
            accepted_at,
            expires_at,
            position,
            caller: command.caller.clone(),
        },
    )?;
    let after = overlay.usage(&id);
    let records = vec![
        Record::Overlay {
            profile: id.clone(),
            overlay,
        },
        Record::Head {
            position,
            accepted_at,
        },
    ];
    Ok(Patched {
        profile: id,
        records,
        fields,
        before,
        after,
    })
}

/// Puts the changed fields over what lies there; an error lists every field with too much under it.
fn put_over(
    overlay: &mut Overlay,
    schema: &EntitySchema,
    changes: Vec<(usize, Literal)>,
    newest: impl Fn(EdmType, Literal) -> Override,
) -> Result<(), Error> {
    let mut problems = Vec::new();
    for (ordinal, value) in changes {
        let Some(Attribute {
            name, data_type, ..
        }) = schema.attributes.get(ordinal)
        else {
            continue;
        };
        overlay.push(name, newest(*data_type, value));
        if overlay.depth(name) > OVERRIDES_MAX {
            problems.push(too_deep(name));
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        let text = "the update has fields with too many updates under it";
        Err(Error::of_details(text, problems))
    }
}

/// Reads a body against the schema; an error lists every bad field (rules 3.2).
fn validate(schema: &EntitySchema, body: &[u8]) -> Result<Vec<(usize, Literal)>, Error> {
    let document = body::document_text(body)?;
    let members = body::members(&document)?;
    if members.fields.is_empty() {
        let text = "the document changes no field; name at least one";
        return Err(Error::new(ErrorCode::InvalidBody, text));
    }
    let mut changes = Vec::with_capacity(members.fields.len());
    let mut problems = members.problems;
    for (name, raw) in members.fields {
        match validate_field(schema, &name, raw.get()) {
            Ok(change) => changes.push(change),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(changes)
    } else {
        Err(Error::of_details(
            "the update has fields that can't be changed so",
            problems,
        ))
    }
}

fn validate_field(
    schema: &EntitySchema,
    name: &str,
    json: &str,
) -> Result<(usize, Literal), Detail> {
    let Some((ordinal, attribute)) = schema.find(name) else {
        let text = format!("{} has no attribute of this name", schema.name);
        return Err(Detail::new(ErrorCode::UnknownField, &shown(name), text));
    };
    let read_only = match attribute.role {
        AttributeRole::Plain => None,
        AttributeRole::Key => Some("it is the key"),
        AttributeRole::AlternateKey(_) => Some("it is an alternate key"),
        AttributeRole::PreviousId => Some("it is kept by unification"),
        AttributeRole::Computed => Some("it is computed by the pipeline"),
    };
    if let Some(reason) = read_only {
        let text = format!("{} is read-only: {reason}", attribute.name);
        return Err(Detail::new(ErrorCode::ReadOnlyField, &attribute.name, text));
    }
    let value = Literal::from_json(attribute.data_type, json).map_err(|error| {
        Detail::new(ErrorCode::InvalidField, &attribute.name, error.to_string())
    })?;
    Ok((ordinal, value))
}

fn too_deep(attribute: &str) -> Detail {
    let text = format!(
        "{OVERRIDES_MAX} live updates of {attribute} end one after the other, and all after this \
         one; give it a validUntil no earlier than the first of theirs"
    );
    Detail::new(ErrorCode::ValidUntilOutOfRange, attribute, text)
}

/// Compares an `If-Match` list with an ETag; `*` matches any, a weak tag matches none (RFC 9110).
fn etag_matches(expected: &str, etag: &str) -> bool {
    expected
        .split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag == etag)
}
