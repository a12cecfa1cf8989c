//! Which segments a customer is in, as the source says (rules 5.3).
//!
//! Owns reading the tables of segment memberships: by customer where they are indexed, else as a
//! whole, as far as the limits let it. Must not know who asks.

use std::collections::{BTreeMap, BTreeSet};

use sanntid_engine::{EntityTable, key_text, view_error};
use sanntid_types::{EdmType, EntityType, ProfileId, Result, Row};

use crate::moment::{Limits, Moment};
use crate::tables::{CUSTOMER_ID, customer_ids, too_many};

const SEGMENT_NAME: &str = "SegmentName";

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
            let schema = &table.schema;
            let columns = (schema.find(SEGMENT_NAME), schema.find(CUSTOMER_ID));
            let (Some((name, _)), Some((customer, _))) = columns else {
                continue;
            };
            if schema.entity_type != EntityType::SegmentMembership {
                continue;
            }
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
