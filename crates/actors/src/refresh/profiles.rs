//! Owns loading the entity `Customer`: profiles, their key ring, and who they were before.

use std::sync::Arc;

use sanntid_engine::{Claim, View, key_members, key_text};
use sanntid_store::{Loader, TenantView};
use sanntid_types::{EdmType, EntitySchema, ProfileId, Row, TableId};

use super::{
    load::{StoreView, TakeRows, Unusable},
    run::{Failure, Run},
    seen::SeenKeys,
};

/// Notes which former ids a profile claims.
pub(crate) struct PreviousIds<'a> {
    column: Option<usize>,
    alternate: Vec<(usize, String)>,
    claims: &'a mut Vec<Claim>,
    run: &'a Run,
    current: Option<StoreView>,
}

/// Prepares to note the former ids of the profiles of `schema`.
pub(crate) fn previous_ids<'a>(
    run: &'a Run,
    schema: &EntitySchema,
    claims: &'a mut Vec<Claim>,
) -> PreviousIds<'a> {
    let is_previous = |attribute: &sanntid_types::Attribute| {
        attribute.role == sanntid_types::AttributeRole::PreviousId
    };
    let column = schema.attributes.iter().position(is_previous);
    let alternate = alternate_of(schema);
    PreviousIds {
        column,
        alternate,
        claims,
        run,
        current: None,
    }
}

fn alternate_of(schema: &EntitySchema) -> Vec<(usize, String)> {
    schema
        .alternate_keys()
        .map(|(at, key)| (at, key.qualified_name()))
        .collect()
}

impl PreviousIds<'_> {
    fn note(&mut self, id: &ProfileId, row: &Row) -> Result<(), Failure> {
        let Some(column) = self.column else {
            return Ok(());
        };
        for old in key_members(row.get(column)) {
            let Ok(old) = ProfileId::parse(&old) else {
                continue;
            };
            let keys_held = self.keys_held(&old, row)?;
            self.claims.push(Claim {
                old,
                new: id.clone(),
                keys_held,
            });
        }
        Ok(())
    }

    /// How many keys of the profile that was `old` this row holds.
    fn keys_held(&mut self, old: &ProfileId, row: &Row) -> Result<u64, Failure> {
        let Some(before) = self.run.state.customer() else {
            return Ok(0);
        };
        if self.current.is_none() {
            let snapshot = self.run.shared.kv.snapshot()?;
            self.current = Some(TenantView::new(snapshot, self.run.state.incarnation));
        }
        let Some(view) = &self.current else {
            return Ok(0);
        };
        let Some(was) = view.profile(before.table, old)? else {
            return Ok(0);
        };
        let mut held = 0;
        for (at, name) in alternate_of(&before.schema) {
            let had = key_members(was.get(at));
            let has: Vec<String> = self
                .alternate
                .iter()
                .filter(|(_, now)| *now == name)
                .flat_map(|(at, _)| key_members(row.get(*at)))
                .collect();
            held += had.iter().filter(|key| has.contains(key)).count() as u64;
        }
        Ok(held)
    }
}

/// Checks and writes profiles.
pub(crate) struct ProfileRows<'a> {
    table: TableId,
    key: (usize, EdmType, String),
    alternate: Arc<[(usize, String, String)]>,
    previous: PreviousIds<'a>,
    /// Ids and keys of all rows so far.
    seen: SeenKeys,
    rows: u64,
    bytes: u64,
}

impl<'a> ProfileRows<'a> {
    pub(crate) fn new(table: TableId, schema: &EntitySchema, previous: PreviousIds<'a>) -> Self {
        let at = schema.key.unwrap_or(0);
        let key = schema.attributes.get(at);
        let key = key.map_or((at, EdmType::String, String::new()), |key| {
            (at, key.data_type, key.name.clone())
        });
        let named = |(at, key): (usize, &sanntid_types::AlternateKey)| {
            let column = schema.attributes.get(at).map(|column| column.name.clone());
            (at, key.qualified_name(), column.unwrap_or_default())
        };
        Self {
            table,
            key,
            alternate: schema.alternate_keys().map(named).collect(),
            previous,
            seen: SeenKeys::new(),
            rows: 0,
            bytes: 0,
        }
    }

    fn id_of(&self, row: &Row) -> Result<ProfileId, Unusable> {
        let (at, data_type, column) = &self.key;
        let text = key_text(*data_type, row.get(*at)).unwrap_or_default();
        ProfileId::parse(&text).map_err(|error| Unusable {
            key: None,
            column: Some(column.clone()),
            reason: error.message,
        })
    }

    fn is_taken(&mut self, loader: &mut Loader<'_>, id: &ProfileId) -> Result<bool, Failure> {
        Ok(self.seen.note(&[id.as_str()]) && loader.has_profile(self.table, id)?)
    }

    /// The profile that holds a key already.
    fn holder(
        &mut self,
        loader: &mut Loader<'_>,
        entity: &str,
        key: &str,
    ) -> Result<Option<ProfileId>, Failure> {
        if !self.seen.note(&[entity, key]) {
            return Ok(None);
        }
        Ok(loader.holder(self.table, entity, key)?)
    }
}

impl TakeRows for ProfileRows<'_> {
    fn take(&mut self, loader: &mut Loader<'_>, row: &Row) -> Result<Option<Unusable>, Failure> {
        let id = match self.id_of(row) {
            Ok(id) => id,
            Err(unusable) => return Ok(Some(unusable)),
        };
        let unusable = |column: &str, reason: String| {
            let key = Some(id.to_string());
            Ok(Some(Unusable {
                key,
                column: Some(column.to_owned()),
                reason,
            }))
        };
        if self.is_taken(loader, &id)? {
            return unusable(
                &self.key.2,
                "a row before this one has the same key".to_owned(),
            );
        }
        let mut keys = Vec::new();
        for (at, entity, column) in Arc::clone(&self.alternate).iter() {
            for key in key_members(row.get(*at)) {
                match self.holder(loader, entity, &key)? {
                    Some(holder) if holder != id => {
                        let reason =
                            format!("another profile, {holder}, has the key {key:?} of {entity}");
                        return unusable(column, reason);
                    }
                    _ => keys.push((entity.clone(), key)),
                }
            }
        }
        loader.profile(self.table, &id, row)?;
        for (entity, key) in keys {
            loader.key_of(self.table, &entity, &key, &id)?;
        }
        self.previous.note(&id, row)?;
        self.rows += 1;
        self.bytes += row.as_bytes().len() as u64;
        Ok(None)
    }

    fn rest(&mut self) {
        self.previous.current = None;
    }

    fn written(&self) -> (u64, u64) {
        (self.rows, self.bytes)
    }
}
