//! Owns loading entities that are no profiles: activities' rows and read-only tables.

use std::{collections::HashSet, sync::Arc};

use sanntid_engine::{key_text, project_row};
use sanntid_store::{Kv, Loader, TenantView};
use sanntid_types::{ActivityConfig, EntitySchema, EntityType, Incarnation, Row, TableId};

use super::{
    load::{StoreView, TakeRows, Unusable},
    members::Members,
    run::Failure,
    seen::SeenKeys,
};

/// Checks and writes rows.
pub(crate) struct OtherRows<'a> {
    kv: &'a dyn Kv,
    incarnation: Incarnation,
    table: TableId,
    schema: Arc<EntitySchema>,
    /// How its rows become activities, where they do.
    config: Option<ActivityConfig>,
    /// Taken when it is needed: none is held while a file is read.
    view: Option<StoreView>,
    /// Keys that were written since `view` was taken.
    keys: HashSet<String>,
    /// Keys of all rows so far.
    seen: SeenKeys,
    /// Counts the members of segments, where these are rows of such.
    members: Option<Members>,
    rows: u64,
    bytes: u64,
}

impl<'a> OtherRows<'a> {
    pub(crate) fn new(
        kv: &'a dyn Kv,
        incarnation: Incarnation,
        table: TableId,
        schema: &Arc<EntitySchema>,
        config: Option<ActivityConfig>,
    ) -> Self {
        Self {
            kv,
            incarnation,
            table,
            schema: Arc::clone(schema),
            config,
            view: None,
            keys: HashSet::new(),
            seen: SeenKeys::new(),
            members: Members::of(schema),
            rows: 0,
            bytes: 0,
        }
    }

    fn is_taken(&mut self, key: &str) -> Result<bool, Failure> {
        if !self.seen.note(&[key]) {
            return Ok(false);
        }
        if self.keys.contains(key) {
            return Ok(true);
        }
        let view = match self.view.take() {
            Some(view) => view,
            None => TenantView::new(self.kv.snapshot()?, self.incarnation),
        };
        Ok(self.view.insert(view).has_row(self.table, key)?)
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

impl OtherRows<'_> {
    /// The customer that the row of a read-only table belongs to; activities have a timeline.
    fn customer_of(&self, row: &Row) -> Option<String> {
        if self.schema.entity_type == EntityType::Activity {
            return None;
        }
        let (at, attribute) = self.schema.find("CustomerId")?;
        key_text(attribute.data_type, row.get(at))
    }
}

impl TakeRows for OtherRows<'_> {
    fn take(&mut self, loader: &mut Loader<'_>, row: &Row) -> Result<Option<Unusable>, Failure> {
        let key = self.key_of(row);
        if self.is_taken(&key)? {
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
        self.keys.insert(key);
        Ok(None)
    }

    fn rest(&mut self) {
        self.view = None;
        self.keys.clear();
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
