//! Owns the records of data sources: as they are configured, and what is known of their content.
//!
//! The two are apart because they change apart: a refresh never writes the configuration.

use sanntid_types::{DataSource, DataSourceId, Incarnation, SourceState};

use super::{get_json, json_under, put_json};
use crate::{
    error::Result,
    key::{Key, meta},
    kv::{Snapshot, Space, WriteBatch},
};

/// Reads one data source.
pub fn data_source(
    snapshot: &dyn Snapshot,
    incarnation: Incarnation,
    id: DataSourceId,
) -> Result<Option<DataSource>> {
    get_json(snapshot, &Key::source(meta::DATA_SOURCE, incarnation, id))
}

/// Reads the data sources of a tenant in the order of their ids.
pub fn data_sources(
    snapshot: &dyn Snapshot,
    incarnation: Incarnation,
) -> impl Iterator<Item = Result<DataSource>> + '_ {
    json_under(snapshot, &Key::of_tenant(meta::DATA_SOURCE, incarnation))
}

/// Writes one data source.
pub fn put_data_source(batch: &mut WriteBatch, incarnation: Incarnation, source: &DataSource) {
    let key = Key::source(meta::DATA_SOURCE, incarnation, source.id);
    put_json(batch, key, source);
}

/// Removes a data source with what is known of it.
pub fn remove_data_source(batch: &mut WriteBatch, incarnation: Incarnation, id: DataSourceId) {
    for kind in [meta::DATA_SOURCE, meta::SOURCE_STATE] {
        let key = Key::source(kind, incarnation, id);
        batch.delete(Space::Meta, key.into_bytes());
    }
}

/// Reads what is known of a data source as it is configured now.
pub fn source_state(
    snapshot: &dyn Snapshot,
    incarnation: Incarnation,
    source: &DataSource,
) -> Result<SourceState> {
    let key = Key::source(meta::SOURCE_STATE, incarnation, source.id);
    let found: Option<SourceState> = get_json(snapshot, &key)?;
    let found = found.filter(|state| state.revision == source.revision);
    Ok(found.unwrap_or_else(|| SourceState {
        revision: source.revision,
        ..SourceState::default()
    }))
}

/// Writes what is known of a data source.
pub fn put_source_state(
    batch: &mut WriteBatch,
    incarnation: Incarnation,
    id: DataSourceId,
    state: &SourceState,
) {
    let key = Key::source(meta::SOURCE_STATE, incarnation, id);
    put_json(batch, key, state);
}
