//! Owns where the attributes of an entity come from whose manifest names none: from the first of its
//! Parquet parts, else from what was loaded before (manifest: empty `attributes`).
//!
//! Parts are read beside the tenant, which decides with what was read of the part that is there
//! when it decides.

use std::{collections::BTreeMap, fs::File, io::ErrorKind};

use sanntid_engine::CallError;
use sanntid_store::catalog::{self, PartEncoding, PartRecord, UploadRecord};
use sanntid_types::{
    Detail, EntityName, EntitySchema, Error, ErrorCode, InstanceId, Manifest, ManifestAttribute,
    ManifestEntity, SnapshotId,
};

use crate::{node::Shared, outcome::refusal, tenant::Change};

/// What the files of parts have, or why it can't be told, by the files' names.
pub(super) type Read = BTreeMap<String, Result<Vec<ManifestAttribute>, String>>;

/// Checks the manifest of an upload that begins. What it leaves out is found at the commit, but for
/// the key, which no file tells.
pub(super) fn check_opened(change: &Change<'_>, manifest: &mut Manifest) -> Result<(), Error> {
    for entity in &mut manifest.entities {
        if entity.attributes.is_empty()
            && entity.key.is_none()
            && let Some(schema) = loaded(change, entity)
        {
            entity.key = key_of(schema);
        }
    }
    manifest.schemas().map(|_| ())
}

/// Reads what the commit of an upload needs of its parts; nothing where it needs nothing.
pub(super) fn read(shared: &Shared, id: InstanceId, upload: SnapshotId) -> Result<Read, CallError> {
    let incarnation = shared.record_of(id)?.incarnation;
    let snapshot = shared.kv.snapshot().map_err(|error| refusal(&error))?;
    let record = catalog::upload(&*snapshot, incarnation, upload);
    let record = record.map_err(|error| refusal(&error))?;
    drop(snapshot);
    let mut read = Read::new();
    let Some(record) = record.filter(|record| record.job.is_none()) else {
        return Ok(read);
    };
    for (entity, schema) in record
        .manifest
        .entities
        .iter()
        .zip(record.manifest.schemas()?)
    {
        let Some(part) = telling_part(&record, entity, &schema.name) else {
            continue;
        };
        let attributes = File::open(shared.part_file(incarnation, upload, &part.file))
            .map_err(sanntid_sources::Error::Io)
            .and_then(|file| sanntid_sources::infer_schema(&file));
        match attributes {
            // Another part has just taken its place, or the upload was thrown away.
            Err(sanntid_sources::Error::Io(error)) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.is_io() => {
                tracing::error!(%error, "an upload's part can't be read");
                let text = "a part can't be read at present; nothing was changed";
                return Err(Error::new(ErrorCode::Internal, text).into());
            }
            attributes => {
                let why = |error| format!("part {}: {error}", part.number);
                read.insert(part.file.clone(), attributes.map_err(why));
            }
        }
    }
    Ok(read)
}

/// Completes the manifest of an upload; `false` where its parts are others than those read.
pub(super) fn complete(
    change: &Change<'_>,
    record: &mut UploadRecord,
    read: &Read,
) -> Result<bool, Error> {
    let mut problems = Vec::new();
    let schemas = record.manifest.schemas()?;
    let mut manifest = record.manifest.clone();
    for (index, (entity, schema)) in manifest.entities.iter_mut().zip(schemas).enumerate() {
        if !entity.attributes.is_empty() {
            continue;
        }
        let target = format!("entities[{index}].attributes");
        let problem = |text: &str| Detail::new(ErrorCode::InvalidArgument, &target, text);
        if let Some(part) = telling_part(record, entity, &schema.name) {
            match read.get(&part.file) {
                None => return Ok(false),
                Some(Ok(attributes)) => entity.attributes.clone_from(attributes),
                Some(Err(why)) => problems.push(problem(&format!("{}: {why}", schema.name))),
            }
        } else if let Some(loaded) = loaded(change, entity) {
            take_loaded(entity, loaded);
        } else {
            problems.push(problem(NOT_KNOWN));
        }
    }
    if !problems.is_empty() {
        return Err(Error::of_details("the manifest is not valid", problems));
    }
    manifest.schemas()?;
    record.manifest = manifest;
    Ok(true)
}

const NOT_KNOWN: &str =
    "no snapshot has brought this entity before, and no Parquet file tells: name its attributes";

/// Checks a manifest against what is loaded; an entity without attributes takes those it had.
pub(crate) fn check_manifest(change: &Change<'_>, manifest: &mut Manifest) -> Result<(), Error> {
    let mut problems = Vec::new();
    for (index, entity) in manifest.entities.iter_mut().enumerate() {
        if !entity.attributes.is_empty() {
            continue;
        }
        match loaded(change, entity) {
            Some(loaded) => take_loaded(entity, loaded),
            None => problems.push(Detail::new(
                ErrorCode::InvalidArgument,
                &format!("entities[{index}].attributes"),
                NOT_KNOWN,
            )),
        }
    }
    if !problems.is_empty() {
        return Err(Error::of_details("the manifest is not valid", problems));
    }
    manifest.schemas().map(|_| ())
}

fn take_loaded(entity: &mut ManifestEntity, loaded: &EntitySchema) {
    entity.attributes = ManifestAttribute::of_schema(loaded);
    if entity.key.is_none() {
        entity.key = key_of(loaded);
    }
}

fn key_of(schema: &EntitySchema) -> Option<String> {
    let key = schema.key.and_then(|at| schema.attributes.get(at));
    key.map(|key| key.name.clone())
}

fn loaded<'a>(change: &'a Change<'_>, entity: &ManifestEntity) -> Option<&'a EntitySchema> {
    let is_same = |schema: &EntitySchema| {
        schema.friendly_name.as_ref() == Some(&entity.name)
            || schema.name.as_str().eq_ignore_ascii_case(&entity.name)
    };
    let mut schemas = change.state.entities.iter().map(|loaded| &*loaded.schema);
    schemas.find(|schema| is_same(schema))
}

/// The part that tells the attributes of an entity that names none.
fn telling_part<'a>(
    record: &'a UploadRecord,
    entity: &ManifestEntity,
    name: &EntityName,
) -> Option<&'a PartRecord> {
    let of_entity =
        |part: &&PartRecord| part.entity == *name && part.encoding == PartEncoding::Parquet;
    let parts = record.parts.iter().filter(of_entity);
    parts
        .min_by_key(|part| part.number)
        .filter(|_| entity.attributes.is_empty())
}
