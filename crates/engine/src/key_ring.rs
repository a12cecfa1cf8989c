//! The key ring: which keys of which source customer entities a profile holds.
//! Owns how a column's text is split into keys. Must not decide whose activity something is.

use sanntid_types::{Error, ErrorCode, ProfileId};

use crate::ports::View;
use crate::profile::view_error;
use crate::project::plain_text;
use crate::tenant::TenantState;

/// Holds all keys of one profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRing {
    pub customer: ProfileId,
    /// One entry per source customer entity, in the order of the schema.
    pub entries: Vec<KeyRingEntry>,
}

/// Holds a profile's keys in one source customer entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRingEntry {
    pub data_source_name: String,
    pub entity_name: String,
    /// The first of `keys`.
    pub preferred_key: Option<String>,
    pub keys: Vec<String>,
}

/// Finds the profile that holds a key, and gives all its keys; `None` where none holds it.
///
/// An unknown source customer entity is `InvalidArgument` and lists the known ones.
pub fn key_ring(
    view: &dyn View,
    tenant: &TenantState,
    data_source: &str,
    entity: &str,
    key: &str,
) -> Result<Option<KeyRing>, Error> {
    let Some(customer) = tenant.customer() else {
        return Ok(None);
    };
    let schema = &customer.schema;
    let Some((_, alternate)) = schema.alternate_keys().find(|(_, alternate)| {
        alternate.data_source_name.eq_ignore_ascii_case(data_source)
            && alternate.entity_name.eq_ignore_ascii_case(entity)
    }) else {
        return Err(unknown(tenant, data_source, entity));
    };
    let found = view
        .resolve_key(customer.table, &alternate.qualified_name(), key.trim())
        .map_err(view_error)?;
    let Some(id) = found else {
        return Ok(None);
    };
    let Some(row) = view.profile(customer.table, &id).map_err(view_error)? else {
        return Ok(None);
    };
    let mut entries: Vec<KeyRingEntry> = Vec::new();
    for (ordinal, alternate) in schema.alternate_keys() {
        let keys = key_members(row.get(ordinal));
        let same = |entry: &&mut KeyRingEntry| {
            entry.data_source_name == alternate.data_source_name
                && entry.entity_name == alternate.entity_name
        };
        match entries.iter_mut().find(same) {
            Some(entry) => entry.keys.extend(keys),
            None => entries.push(KeyRingEntry {
                data_source_name: alternate.data_source_name.clone(),
                entity_name: alternate.entity_name.clone(),
                preferred_key: None,
                keys,
            }),
        }
    }
    for entry in &mut entries {
        entry.preferred_key = entry.keys.first().cloned();
    }
    Ok(Some(KeyRing {
        customer: id,
        entries,
    }))
}

/// Splits the JSON text of an alternate key column into its keys, each once, in their order.
///
/// Several keys are joined by `;`; blanks around a key are no part of it.
pub fn key_members(json: &str) -> Vec<String> {
    let text = plain_text(json).unwrap_or_default();
    let mut keys: Vec<String> = Vec::new();
    for key in text.split(';').map(str::trim) {
        if !key.is_empty() && !keys.iter().any(|known| known == key) {
            keys.push(key.to_owned());
        }
    }
    keys
}

fn unknown(tenant: &TenantState, data_source: &str, entity: &str) -> Error {
    let known: Vec<String> = tenant
        .customer()
        .into_iter()
        .flat_map(|customer| customer.schema.alternate_keys())
        .map(|(_, key)| format!("{} of {}", key.entity_name, key.data_source_name))
        .collect();
    let known = match known.as_slice() {
        [] => "none has any".to_owned(),
        known => format!("these have: {}", known.join(", ")),
    };
    let text = format!("no profile has keys of {entity:?} of {data_source:?}; {known}");
    Error::new(ErrorCode::InvalidArgument, text).with_target("entityName")
}
