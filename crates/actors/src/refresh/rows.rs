//! Owns loading entities that are no profiles: activities' rows and read-only tables.

use std::sync::Arc;

use sanntid_engine::{key_text, project_row};
use sanntid_store::Loader;
use sanntid_types::{ActivityConfig, EntitySchema, EntityType, Row, TableId};

use super::{
    load::{TakeRows, Unusable},
    members::Members,
    run::Failure,
    seen::SeenKeys,
};

/// Checks and writes rows.
pub(crate) struct OtherRows {
    table: TableId,
    schema: Arc<EntitySchema>,
    /// How its rows become activities, where they do.
    config: Option<ActivityConfig>,
    /// Keys of all rows so far.
    seen: SeenKeys,
    /// Counts the members of segments, where these are rows of such.
    members: Option<Members>,
    rows: u64,
    bytes: u64,
}

impl OtherRows {
    pub(crate) fn new(
        table: TableId,
        schema: &Arc<EntitySchema>,
        config: Option<ActivityConfig>,
    ) -> Self {
        Self {
            table,
            schema: Arc::clone(schema),
            config,
            seen: SeenKeys::new(),
            members: Members::of(schema),
            rows: 0,
            bytes: 0,
        }
    }

    fn is_taken(&mut self, loader: &mut Loader<'_>, key: &str) -> Result<bool, Failure> {
        Ok(self.seen.note(&[key]) && loader.has_row(self.table, key)?)
    }

    /// The row's key; rows of an entity without one are numbered.
    fn key_of(&self, row: &Row) -> String {
        let key = self.schema.key.and_then(|at| {
            let attribute = self.schema.attributes.get(at)?;
            key_text(attribute.data_type, row.get(at))
        });
        key.unwrap_or_else(|| format!("{:020}", self.rows))
    }
}

impl OtherRows {
    /// The customer that the row of a read-only table belongs to; activities have a timeline.
    fn customer_of(&self, row: &Row) -> Option<String> {
        if self.schema.entity_type == EntityType::Activity {
            return None;
        }
        let (at, attribute) = self.schema.find("CustomerId")?;
        key_text(attribute.data_type, row.get(at))
    }
}

impl TakeRows for OtherRows {
    fn take(&mut self, loader: &mut Loader<'_>, row: &Row) -> Result<Option<Unusable>, Failure> {
        let key = self.key_of(row);
        if self.is_taken(loader, &key)? {
            let column = self
                .schema
                .key
                .and_then(|at| self.schema.attributes.get(at));
            return Ok(Some(Unusable {
                key: Some(key),
                column: column.map(|column| column.name.clone()),
                reason: "a row before this one has the same key".to_owned(),
            }));
        }
        if let Some(config) = &self.config
            && let Err(error) = project_row(config, &self.schema, row)
        {
            let detail = error.details.first();
            return Ok(Some(Unusable {
                key: Some(key),
                column: detail.map(|detail| detail.target.clone()),
                reason: detail.map_or(error.message.clone(), |detail| detail.message.clone()),
            }));
        }
        loader.row(self.table, &key, row)?;
        if let Some(customer) = self.customer_of(row) {
            loader.row_of_customer(self.table, &customer, &key)?;
        }
        if let Some(members) = &mut self.members {
            members.add(row);
        }
        self.rows += 1;
        self.bytes += row.as_bytes().len() as u64;
        Ok(None)
    }

    fn finish(&mut self, loader: &mut Loader<'_>) -> Result<(), Failure> {
        match &self.members {
            Some(members) => members.write(loader, self.table),
            None => Ok(()),
        }
    }

    fn written(&self) -> (u64, u64) {
        (self.rows, self.bytes)
    }
}
