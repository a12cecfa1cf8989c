//! Which segments a customer is in, as the source says (rules 5.3).
//!
//! Owns reading the tables of segment memberships: by customer where they are indexed, else as a
//! whole, as far as the limits let it; and the list of segments, which was counted at loading.
//! Must not know who asks.

use std::collections::{BTreeMap, BTreeSet};

use sanntid_engine::{EntityTable, key_text, view_error};
use sanntid_types::{EdmType, EntityType, Error, ErrorCode, Instant, ProfileId, Result, Row};

use crate::moment::{Limits, Moment};
use crate::tables::{CUSTOMER_ID, customer_ids, too_many};

const SEGMENT_NAME: &str = "SegmentName";

/// Describes a segment that the source has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub name: String,
    /// The memberships that name a customer, loaded or not.
    pub members: u64,
    /// Of the table that has the memberships; of several, the latest.
    pub as_of: Instant,
}

/// Lists the segments in the order of their names.
///
/// They were counted when their table was loaded. One that an older version loaded is read where
/// `limits` let it; a larger one is `FilterNeedsIndex`.
pub fn segments(moment: &Moment<'_>, limits: &Limits) -> Result<Vec<Segment>> {
    let mut all: BTreeMap<String, Segment> = BTreeMap::new();
    for table in &moment.tenant.entities {
        let Some((name, customer)) = columns(table) else {
            continue;
        };
        let counted = match moment.view.segments(table.table).map_err(view_error)? {
            Some(counted) => counted,
            None if table.rows > limits.scan_rows_max => return Err(not_counted(table)),
            None => count(moment, table, name, customer)?,
        };
        for (name, members) in counted {
            let segment = all.entry(name.clone()).or_insert(Segment {
                name,
                members: 0,
                as_of: table.as_of,
            });
            segment.members += members;
            segment.as_of = segment.as_of.max(table.as_of);
        }
    }
    Ok(all.into_values().collect())
}

/// The ordinals of a membership's segment and customer, where the table has memberships.
fn columns(table: &EntityTable) -> Option<(usize, usize)> {
    let schema = &table.schema;
    let (name, _) = schema.find(SEGMENT_NAME)?;
    let (customer, _) = schema.find(CUSTOMER_ID)?;
    (schema.entity_type == EntityType::SegmentMembership).then_some((name, customer))
}

fn count(
    moment: &Moment<'_>,
    table: &EntityTable,
    name: usize,
    customer: usize,
) -> Result<Vec<(String, u64)>> {
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for found in moment.view.rows_after(table.table, None) {
        let (_, row) = found.map_err(view_error)?;
        if let (Some(name), Some(_)) = (text(&row, name), text(&row, customer)) {
            *counted.entry(name).or_default() += 1;
        }
    }
    Ok(counted.into_iter().collect())
}

fn not_counted(table: &EntityTable) -> Error {
    let message = format!(
        "the members of the segments in {} were not counted when it was loaded; they are when it \
         is refreshed",
        table.schema.name
    );
    Error::new(ErrorCode::FilterNeedsIndex, message).with_target(table.schema.name.as_str())
}

/// Finds the segments of customers.
pub(crate) struct Memberships<'a> {
    moment: Moment<'a>,
    tables: Vec<Table>,
}

struct Table {
    table: EntityTable,
    name: usize,
    /// Segments by the `CustomerId` that the table has, where it is not indexed.
    read: Option<BTreeMap<String, BTreeSet<String>>>,
}

impl<'a> Memberships<'a> {
    /// Looks at all segment memberships; too many that are not indexed are `FilterNeedsIndex`.
    pub(crate) fn new(moment: &Moment<'a>, limits: &Limits) -> Result<Self> {
        let mut tables = Vec::new();
        for table in &moment.tenant.entities {
            let Some((name, customer)) = columns(table) else {
                continue;
            };
            let indexed = moment.view.is_indexed_by_customer(table.table);
            let read = if indexed.map_err(view_error)? {
                None
            } else if table.rows > limits.scan_rows_max {
                return Err(too_many(table, limits.scan_rows_max, "$filter"));
            } else {
                Some(read_all(moment, table, name, customer)?)
            };
            tables.push(Table {
                table: table.clone(),
                name,
                read,
            });
        }
        Ok(Self {
            moment: *moment,
            tables,
        })
    }

    /// The segments that a customer is in, under the id of now or one of before.
    pub(crate) fn of(&self, id: &ProfileId) -> Result<BTreeSet<String>> {
        let mut segments = BTreeSet::new();
        if self.tables.is_empty() {
            return Ok(segments);
        }
        for id in customer_ids(&self.moment, id)? {
            for Table { table, name, read } in &self.tables {
                if let Some(read) = read {
                    segments.extend(read.get(&id).into_iter().flatten().cloned());
                    continue;
                }
                for found in self.moment.view.rows_of_customer(table.table, &id) {
                    let (_, row) = found.map_err(view_error)?;
                    segments.extend(text(&row, *name));
                }
            }
        }
        Ok(segments)
    }
}

fn read_all(
    moment: &Moment<'_>,
    table: &EntityTable,
    name: usize,
    customer: usize,
) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut segments: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for found in moment.view.rows_after(table.table, None) {
        let (_, row) = found.map_err(view_error)?;
        if let (Some(name), Some(customer)) = (text(&row, name), text(&row, customer)) {
            segments.entry(customer).or_default().insert(name);
        }
    }
    Ok(segments)
}

fn text(row: &Row, ordinal: usize) -> Option<String> {
    key_text(EdmType::String, row.get(ordinal))
}
