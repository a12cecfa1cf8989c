//! Owns counting the members of segments while their table is loaded, so that nobody who asks has
//! to read the table.
//!
//! Must not decide who is a member: the rows of the source say so.

use std::collections::BTreeMap;

use sanntid_engine::key_text;
use sanntid_store::Loader;
use sanntid_types::{EdmType, EntitySchema, EntityType, Row, TableId};

use super::run::Failure;

/// Segments of one table that are counted; of a table with more, none are.
const SEGMENTS_MAX: usize = 10_000;

/// Counts the rows of each segment that name a customer.
pub(crate) struct Members {
    segment: usize,
    customer: usize,
    counts: BTreeMap<String, u64>,
    segments_max: usize,
}

impl Members {
    /// Begins to count, where the entity is one of segment memberships.
    pub(crate) fn of(schema: &EntitySchema) -> Option<Self> {
        let (segment, _) = schema.find("SegmentName")?;
        let (customer, _) = schema.find("CustomerId")?;
        (schema.entity_type == EntityType::SegmentMembership).then_some(Self {
            segment,
            customer,
            counts: BTreeMap::new(),
            segments_max: SEGMENTS_MAX,
        })
    }

    /// Counts a row.
    pub(crate) fn add(&mut self, row: &Row) {
        let text = |at: usize| key_text(EdmType::String, row.get(at));
        let (Some(segment), Some(_)) = (text(self.segment), text(self.customer)) else {
            return;
        };
        // One more than the limit is kept as the mark of too many.
        if self.counts.len() <= self.segments_max {
            *self.counts.entry(segment).or_default() += 1;
        }
    }

    /// Writes the counts beside the rows.
    pub(crate) fn write(&self, loader: &mut Loader<'_>, table: TableId) -> Result<(), Failure> {
        if self.counts.len() > self.segments_max {
            tracing::warn!(
                segments_max = self.segments_max,
                "a table has too many segments to count"
            );
            return Ok(());
        }
        for (segment, members) in &self.counts {
            loader.segment(table, segment, *members)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sanntid_engine::View;
    use sanntid_store::{Kv, MemoryKv, TenantView};
    use sanntid_types::{Attribute, EntityName, Incarnation, Literal, RowBuilder};

    use super::*;

    fn schema(entity_type: EntityType) -> EntitySchema {
        EntitySchema {
            name: EntityName::parse("Membership").unwrap(),
            friendly_name: None,
            entity_type,
            attributes: vec![
                Attribute::plain("CustomerId", EdmType::String),
                Attribute::plain("SegmentName", EdmType::String),
            ],
            key: None,
        }
    }

    fn counted(segments_max: usize) -> Option<Vec<(String, u64)>> {
        let kv = MemoryKv::new();
        let mut members = Members::of(&schema(EntityType::SegmentMembership)).unwrap();
        members.segments_max = segments_max;
        for (customer, segment) in [("c1", "Best"), ("c2", "Best"), ("c1", "New"), ("", "New")] {
            let mut row = RowBuilder::default();
            let of_customer = match customer {
                "" => Literal::null(),
                id => Literal::text(id),
            };
            row.push(&of_customer);
            row.push(&Literal::text(segment));
            members.add(&row.finish());
        }
        let mut loader = Loader::new(&kv, Incarnation(1));
        members.write(&mut loader, TableId(7)).unwrap();
        loader.finish().unwrap();
        let view = TenantView::new(kv.snapshot().unwrap(), Incarnation(1));
        view.segments(TableId(7)).unwrap()
    }

    #[test]
    fn rows_count_where_they_name_a_segment_and_a_customer() {
        let expected = vec![("Best".to_owned(), 2), ("New".to_owned(), 1)];
        assert_eq!(counted(2), Some(expected));
    }

    #[test]
    fn of_too_many_segments_none_is_counted() {
        assert_eq!(counted(1), None);
    }

    #[test]
    fn only_tables_of_memberships_are_counted() {
        assert!(Members::of(&schema(EntityType::ProfileKpi)).is_none());
    }
}
