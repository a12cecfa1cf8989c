//! Reading the entity `Customer`: one profile by id, or a collection.
//!
//! Owns the choice of access path: ids and alternate keys that a filter names are read one by one,
//! anything else walks the profiles in the order of their ids, as far as the limits let it.
//! Must not merge by itself: what a profile shows is the core's to say.

use std::collections::BTreeSet;
use std::ops::Bound as Edge;

use sanntid_engine::{EntityTable, FieldOrigin, MergedProfile, merged, profile, view_error};
use sanntid_odata::{BoundFilter, BoundOrder, Fields};
use sanntid_types::{CUSTOMER, EntitySchema, Error, ErrorCode, ProfileId, Result, Row};

use crate::collection::{Ask, Bound, Candidate, Count, Request, Show, Source};
use crate::expand::{Expansion, Member};
use crate::json::Object;
use crate::moment::{Answer, Limits, Moment};
use crate::segments::Memberships;

/// Holds one profile as a row of `Customer`.
pub(crate) struct CustomerRow {
    profile: MergedProfile,
    /// The segments that the customer is in, where the filter asks.
    segments: BTreeSet<String>,
    /// What was asked to stand within the row.
    expanded: Vec<Member>,
}

impl Fields for CustomerRow {
    fn json(&self, ordinal: usize) -> &str {
        self.profile.json(ordinal)
    }

    fn is_in_segment(&self, name: &str) -> bool {
        self.segments.contains(name)
    }
}

impl Candidate for CustomerRow {
    type Key = ProfileId;

    fn key(&self) -> &ProfileId {
        &self.profile.id
    }
}

impl Show for CustomerRow {
    fn push_fields(&self, object: &mut Object<'_>, select: Option<&[usize]>, explain: bool) {
        let fields = self.profile.fields().zip(&self.profile.schema.attributes);
        for ((ordinal, json, origin), attribute) in fields {
            if select.is_some_and(|selected| !selected.contains(&ordinal)) {
                continue;
            }
            object.json(&attribute.name, json);
            if explain && let FieldOrigin::Realtime { change, source } = origin {
                let name = format!("{}@sanntid.realtime", attribute.name);
                object.object(&name, |object| {
                    object.json("sourceValue", source);
                    object.text("acceptedAt", &change.accepted_at.to_string());
                    object.text("validUntil", &change.expires_at.to_string());
                    if let Some(caller) = &change.caller {
                        object.text("caller", caller.as_str());
                    }
                    object.json("position", &change.position.0.to_string());
                });
            }
        }
        for (name, json) in &self.expanded {
            object.json(name, json);
        }
    }
}

/// Answers `Customer('id')`; an id that was moved is followed.
pub(crate) fn entity(request: &Request<'_>, id: &ProfileId) -> Result<Answer> {
    let Moment { tenant, view, now } = *request.moment;
    let found = profile(view, tenant, now, id)?;
    let Some(found) = found.map(|found| shown(request, found)) else {
        let message = format!("there is no customer {id}");
        return Err(Error::new(ErrorCode::ProfileNotFound, message).with_target("CustomerId"));
    };
    let bound = Bound::new(&request.query, &found.schema)?;
    let (etag, id) = (found.etag(), found.id.clone());
    let row = CustomerRow {
        expanded: Expansion::new(request)?.of(&id)?,
        profile: found,
        segments: BTreeSet::new(),
    };
    let json = request.entity_json(CUSTOMER, Some(&etag), bound.select.as_deref(), &row);
    Ok(Answer::Entity {
        json,
        etag: Some(etag),
        id: Some(id),
    })
}

/// Answers a collection of profiles.
pub(crate) fn collection(request: &Request<'_>) -> Result<String> {
    let expansion = Expansion::new(request)?;
    let Some(table) = request.moment.tenant.customer() else {
        return Ok(request.empty_json(CUSTOMER));
    };
    let bound = Bound::new(&request.query, &table.schema)?;
    let in_order = is_by_key(&bound.order, &table.schema);
    let access = access(request.moment, table, bound.filter.as_ref())?;
    if access == Access::Scan && table.rows > request.limits.scan_rows_max {
        check_scan(request, table, &bound, in_order)?;
    }
    let asks = bound.filter.as_ref().is_some_and(BoundFilter::has_segments);
    let memberships = asks.then(|| Memberships::new(request.moment, request.limits));
    let memberships = memberships.transpose()?;
    let mut ask = Ask::new(request, CUSTOMER, bound, in_order)?;
    if ask.count == Count::Scanned && ask.filter.is_none() {
        ask.count = Count::Known(table.rows);
    }
    let source = Customers {
        request,
        table,
        access,
        memberships,
        expansion,
    };
    request.page_json(CUSTOMER, &source, &ask)
}

#[derive(PartialEq, Eq)]
enum Access {
    Ids(BTreeSet<ProfileId>),
    Scan,
}

struct Customers<'a> {
    request: &'a Request<'a>,
    table: &'a EntityTable,
    access: Access,
    /// Where the filter asks for segments.
    memberships: Option<Memberships<'a>>,
    expansion: Expansion<'a>,
}

impl Customers<'_> {
    fn row(&self, id: ProfileId, row: Row) -> Result<Option<CustomerRow>> {
        let Moment { tenant, view, now } = *self.request.moment;
        let merged = merged(view, tenant, now, id, row)?;
        let Some(found) = merged else {
            return Ok(None);
        };
        let segments = match &self.memberships {
            Some(memberships) => memberships.of(&found.id)?,
            None => BTreeSet::new(),
        };
        Ok(Some(CustomerRow {
            profile: shown(self.request, found),
            segments,
            expanded: Vec::new(),
        }))
    }

    fn row_of(&self, id: &ProfileId) -> Result<Option<CustomerRow>> {
        let found = self.request.moment.view.profile(self.table.table, id);
        match found.map_err(view_error)? {
            Some(row) => self.row(id.clone(), row),
            None => Ok(None),
        }
    }
}

impl Source for Customers<'_> {
    type Row = CustomerRow;

    fn complete(&self, rows: &mut [CustomerRow]) -> Result<()> {
        for row in rows {
            row.expanded = self.expansion.of(&row.profile.id)?;
        }
        Ok(())
    }

    fn rows<'s>(
        &'s self,
        after: Option<&ProfileId>,
    ) -> Result<Box<dyn Iterator<Item = Result<CustomerRow>> + 's>> {
        Ok(match &self.access {
            Access::Ids(ids) => {
                let start = after.map_or(Edge::Unbounded, Edge::Excluded);
                let ids = ids.range((start, Edge::Unbounded));
                Box::new(ids.filter_map(|id| self.row_of(id).transpose()))
            }
            Access::Scan => {
                let profiles = self.request.moment.view.profiles(self.table.table, after);
                Box::new(profiles.filter_map(|found| match found {
                    Ok((id, row)) => self.row(id, row).transpose(),
                    Err(error) => Some(Err(view_error(error))),
                }))
            }
        })
    }
}

/// Finds the profiles that a filter names; else all are candidates.
///
/// An id that was moved is not followed: a filter compares the ids that are shown.
fn access(
    moment: &Moment<'_>,
    table: &EntityTable,
    filter: Option<&BoundFilter>,
) -> Result<Access> {
    let Some(filter) = filter else {
        return Ok(Access::Scan);
    };
    let schema = &table.schema;
    if let Some(ids) = schema.key.and_then(|key| filter.equalities(key)) {
        return Ok(Access::Ids(valid_ids(&ids)));
    }
    let sets = schema.alternate_keys().filter_map(|(ordinal, alternate)| {
        let keys = filter.equalities(ordinal)?;
        Some((alternate.qualified_name(), keys))
    });
    let Some((entity, keys)) = sets.min_by_key(|(_, keys)| keys.len()) else {
        return Ok(Access::Scan);
    };
    let mut ids = BTreeSet::new();
    for key in keys.iter().filter(|key| !key.is_empty()) {
        let found = moment.view.resolve_key(table.table, &entity, key);
        ids.extend(found.map_err(view_error)?);
    }
    Ok(Access::Ids(ids))
}

/// The texts that can be ids; others match no profile.
pub(crate) fn valid_ids(texts: &[String]) -> BTreeSet<ProfileId> {
    let ids = texts.iter().filter_map(|text| ProfileId::parse(text).ok());
    ids.collect()
}

fn shown(request: &Request<'_>, found: MergedProfile) -> MergedProfile {
    if request.options.source_only {
        found.without_overrides()
    } else {
        found
    }
}

/// Whether an order is that of the ids: no id stands twice, so what follows the id is of no effect.
fn is_by_key(order: &BoundOrder, schema: &EntitySchema) -> bool {
    order
        .keys()
        .next()
        .is_none_or(|(ordinal, descending)| Some(ordinal) == schema.key && !descending)
}

/// Refuses what would have to read more rows than the limit.
fn check_scan(
    request: &Request<'_>,
    table: &EntityTable,
    bound: &Bound,
    in_order: bool,
) -> Result<()> {
    let Limits { scan_rows_max, .. } = *request.limits;
    let target = if bound.filter.is_some() {
        "$filter"
    } else if !in_order {
        "$orderby"
    } else if request.query.skip.is_some_and(|skip| skip > scan_rows_max) {
        "$skip"
    } else {
        return Ok(());
    };
    let keys = table.schema.alternate_keys().filter_map(|(ordinal, _)| {
        let attribute = table.schema.attributes.get(ordinal)?;
        Some(attribute.name.as_str())
    });
    let names: Vec<&str> = ["CustomerId"].into_iter().chain(keys).collect();
    let message = format!(
        "Customer has more than {scan_rows_max} rows: a filter must name rows by `eq` or `in` of \
         one of {}; without a filter the order is that of CustomerId, and $skip at most \
         {scan_rows_max}",
        names.join(", ")
    );
    Err(Error::new(ErrorCode::FilterNeedsIndex, message).with_target(target))
}
