//! Owns the part of a refresh that knows data sources: which are read, what of them is new, and
//! what is noted about them at the switch and at the end (rules 6.1, 6.5).
//!
//! Must not read rows.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::UNIX_EPOCH};

use sanntid_sources::{EntityFile, Folder, StopCheck};
use sanntid_store::{Snapshot, WriteBatch, catalog};
use sanntid_types::{
    BucketLocation, CUSTOMER, DataSource, DataSourceId, EntityName, Error, ErrorCode, Incarnation,
    Job, JobKind, JobStatus, Manifest, Origin, RefreshRequest, SourceRefresh, SourceState,
};

use super::{
    input::retried,
    load::Plan,
    run::{Failure, Run},
};
use crate::{outcome::refusal, sources::real_folder, tenant::Change, uploads::check_manifest};

/// The file of a folder that says what is in it.
const MANIFEST: &str = "snapshot.json";

/// A data source that was looked at and has something new.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) source: DataSource,
    pub(crate) manifest: Manifest,
    pub(crate) files: Vec<EntityFile>,
    fingerprint: String,
}

impl Opened {
    fn refuse(&self, code: ErrorCode, why: &str) -> Error {
        refuse(&self.source, code, why)
    }
}

fn refuse(source: &DataSource, code: ErrorCode, why: &str) -> Error {
    let text = format!("data source {}: {why}", source.friendly_name);
    Error::new(code, text).with_target(source.id.to_string())
}

/// Refuses a job that names a data source which there is not.
pub(crate) fn check_request(change: &Change<'_>, kind: &JobKind) -> Result<(), Error> {
    let JobKind::Refresh(request) = kind else {
        return Ok(());
    };
    for id in &request.sources {
        let found = catalog::data_source(change.snapshot, change.state.incarnation, *id);
        if found.map_err(|error| refusal(&error))?.is_none() {
            let text = format!("there is no data source {id}");
            return Err(Error::new(ErrorCode::DataSourceNotFound, text).with_target("identifiers"));
        }
    }
    Ok(())
}

/// Whether there is a data source at all.
pub(crate) fn are_any(change: &Change<'_>) -> Result<bool, Error> {
    let mut sources = catalog::data_sources(change.snapshot, change.state.incarnation);
    let first = sources.next().transpose();
    first
        .map(|first| first.is_some())
        .map_err(|error| refusal(&error))
}

/// Looks at the data sources of a job; those that have not changed are left out.
pub(crate) fn open(run: &Run, request: &RefreshRequest) -> Result<Vec<Opened>, Failure> {
    let snapshot = run.shared.kv.snapshot()?;
    let mut wanted = Vec::new();
    for source in catalog::data_sources(&*snapshot, run.state.incarnation) {
        let source = source?;
        if request.covers(source.id) {
            let state = catalog::source_state(&*snapshot, run.state.incarnation, &source)?;
            wanted.push((source, state));
        }
    }
    drop(snapshot);
    if let Some(gone) = request
        .sources
        .iter()
        .find(|id| !wanted.iter().any(|(source, _)| source.id == **id))
    {
        return Err(is_gone(*gone).into());
    }
    let mut opened = Vec::new();
    for (source, state) in wanted {
        run.progress.check()?;
        let found = look(run, source)?;
        // After a simulation the same content is news: it makes the generation real again.
        let is_known = state.fingerprint.as_ref() == Some(&found.fingerprint);
        if request.forced || run.state.simulated || !is_known {
            opened.push(found);
        }
    }
    if opened.is_empty() {
        let why = "no data source has changed since it was loaded; force the refresh to load it \
                   all the same";
        return Err(Failure::Skipped(why.to_owned()));
    }
    Ok(opened)
}

/// Decides that what was opened is loaded: from now on no write falls before it (rules 2.2).
pub(crate) fn enter(change: &mut Change<'_>, opened: &[Opened]) -> Result<Vec<Opened>, Error> {
    check(change, opened)?;
    let mut opened = opened.to_vec();
    let mut brings_customer = change.state.customer().is_some();
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for one in &mut opened {
        let of_source = |error: Error| {
            let text = format!(
                "data source {}: {}",
                one.source.friendly_name, error.message
            );
            Error {
                message: text,
                ..error
            }
        };
        check_manifest(change, &mut one.manifest).map_err(of_source)?;
        for schema in one.manifest.schemas().map_err(of_source)? {
            let name = schema.name.as_str();
            brings_customer |= name == CUSTOMER;
            let owner = owners.insert(name.to_ascii_lowercase(), one.source.friendly_name.clone());
            if let Some(other) = owner {
                return Err(belongs_elsewhere(
                    one,
                    name,
                    &format!("the data source {other}"),
                ));
            }
            match change.state.origin(name) {
                Some(Origin::Source(id)) if id != one.source.id => {
                    let other = catalog::data_source(change.snapshot, change.state.incarnation, id);
                    let other = other.map_err(|error| refusal(&error))?;
                    let other = other.map_or(id.to_string(), |other| other.friendly_name);
                    return Err(belongs_elsewhere(
                        one,
                        name,
                        &format!("the data source {other}"),
                    ));
                }
                Some(Origin::Upload) => return Err(belongs_elsewhere(one, name, "uploads")),
                Some(Origin::Source(_)) | None => {}
            }
        }
    }
    if !brings_customer {
        let text = "no snapshot has brought Customer yet, and the data sources don't either";
        return Err(Error::new(ErrorCode::InvalidArgument, text).with_target(CUSTOMER));
    }
    for one in &mut opened {
        let as_of = change
            .state
            .check_as_of(one.manifest.as_of, change.now)
            .map_err(|error| one.refuse(error.code, &error.message))?;
        one.manifest.as_of = as_of;
        change.state.open_refresh(as_of);
    }
    Ok(opened)
}

/// Checks, now and at the switch, that the sources are as they were and not outdated (rules 6.5).
pub(crate) fn check(change: &Change<'_>, opened: &[Opened]) -> Result<(), Error> {
    for one in opened {
        let found = catalog::data_source(change.snapshot, change.state.incarnation, one.source.id);
        match found.map_err(|error| refusal(&error))? {
            None => return Err(is_gone(one.source.id)),
            Some(found) if found.revision != one.source.revision => {
                let why = "it was changed meanwhile; nothing was loaded";
                return Err(one.refuse(ErrorCode::Interrupted, why));
            }
            Some(_) => {}
        }
        let as_of = change.state.check_as_of(one.manifest.as_of, change.now);
        as_of.map_err(|error| one.refuse(error.code, &error.message))?;
    }
    Ok(())
}

/// Notes, with the switch, where entities come from and what the sources hold.
pub(crate) fn note_loaded(change: &mut Change<'_>, kind: &JobKind, opened: &[Opened], plan: &Plan) {
    let mut brought: BTreeMap<DataSourceId, Vec<EntityName>> = BTreeMap::new();
    let entities = plan.switch.entities.iter();
    for entity in entities.filter(|entity| plan.new_tables.contains(&entity.table)) {
        let name = &entity.schema.name;
        let origin = match kind {
            JobKind::Upload(_) => Origin::Upload,
            JobKind::Refresh(_) => {
                let names = |one: &&Opened| {
                    one.manifest
                        .schemas()
                        .is_ok_and(|schemas| schemas.iter().any(|schema| schema.name == *name))
                };
                let Some(one) = opened.iter().find(names) else {
                    continue;
                };
                let of_source = brought.entry(one.source.id).or_default();
                of_source.push(name.clone());
                Origin::Source(one.source.id)
            }
            JobKind::Copy(_) | JobKind::Reproject | JobKind::Simulate(_) | JobKind::Sources => {
                continue;
            }
        };
        let same = |other: &EntityName| other.as_str().eq_ignore_ascii_case(name.as_str());
        change.state.origins.retain(|other, _| !same(other));
        change.state.origins.insert(name.clone(), origin);
    }
    for one in opened {
        let state = SourceState {
            revision: one.source.revision,
            refresh: SourceRefresh::Updated,
            loaded_at: Some(change.now),
            fingerprint: Some(one.fingerprint.clone()),
            entities: brought.remove(&one.source.id).unwrap_or_default(),
        };
        let incarnation = change.state.incarnation;
        catalog::put_source_state(&mut change.batch, incarnation, one.source.id, &state);
    }
}

/// Notes with the end of a job that has not switched how it ended for its data sources.
pub(crate) fn note_end(
    snapshot: &dyn Snapshot,
    incarnation: Incarnation,
    job: &Job,
    batch: &mut WriteBatch,
) -> sanntid_store::Result<()> {
    let JobKind::Refresh(request) = &job.kind else {
        return Ok(());
    };
    let refresh = match job.status {
        JobStatus::Failed | JobStatus::TimedOut => SourceRefresh::UpdateFailed,
        JobStatus::Aborted => SourceRefresh::UpdateCancelled,
        JobStatus::Successful | JobStatus::Skipped | JobStatus::Queued | JobStatus::Running => {
            return Ok(());
        }
    };
    for source in catalog::data_sources(snapshot, incarnation) {
        let source = source?;
        if request.covers(source.id) {
            let mut state = catalog::source_state(snapshot, incarnation, &source)?;
            state.refresh = refresh;
            catalog::put_source_state(batch, incarnation, source.id, &state);
        }
    }
    Ok(())
}

fn look(run: &Run, source: DataSource) -> Result<Opened, Failure> {
    if let Some(bucket) = source.location.bucket().cloned() {
        return look_into(run, source, &bucket);
    }
    let folders = &run.shared.config.data_source_folders;
    let root = run
        .progress
        .at_source(|| real_folder(&source.location, folders))?
        .map_err(|error| refuse(&source, error.code, &error.message))?;
    let manifest = root.join(MANIFEST);
    let unreadable = |why: &str| Failure::from(refuse(&source, ErrorCode::InvalidArgument, why));
    let real = retried(&run.progress, || {
        fs::canonicalize(&manifest).map_err(sanntid_sources::Error::Io)
    })?;
    let real = real.map_err(|error| {
        let why = match &error {
            // Its own text would show a path of this machine.
            sanntid_sources::Error::Io(error) => error.kind().to_string(),
            other => other.to_string(),
        };
        unreadable(&format!("{MANIFEST} can't be read: {why}"))
    })?;
    if !real.starts_with(&root) {
        return Err(unreadable(&format!(
            "{MANIFEST} leads out of the folder by a symbolic link"
        )));
    }
    let opened = retried(&run.progress, || {
        if !real.is_file() {
            return Ok(None);
        }
        let folder = Folder::open_with_files(&real, &root)?;
        let fingerprint = fingerprint(&folder);
        Ok(Some((folder, fingerprint)))
    })?;
    let Some((folder, fingerprint)) = opened.map_err(|error| unreadable(&error.to_string()))?
    else {
        return Err(unreadable(&format!("{MANIFEST} is no file")));
    };
    Ok(Opened {
        fingerprint,
        files: folder.files().to_vec(),
        manifest: folder.manifest,
        source,
    })
}

/// Looks into a bucket; it makes its own retries.
fn look_into(run: &Run, source: DataSource, bucket: &BucketLocation) -> Result<Opened, Failure> {
    let progress = Arc::clone(&run.progress);
    let stop: StopCheck = Arc::new(move || progress.reading_is_over());
    let folder = run.progress.at_source(|| {
        let credentials = source.credentials.as_deref();
        let place = run.shared.open_bucket(bucket, credentials, stop)?;
        let opened = Folder::open_in(&place, MANIFEST);
        opened.map_err(|error| Error::new(ErrorCode::InvalidArgument, error.to_string()))
    })?;
    if folder.is_err() {
        // A wish that the job stop makes reading fail, too.
        run.progress.check()?;
    }
    let folder = folder.map_err(|error| refuse(&source, error.code, &error.message))?;
    Ok(Opened {
        fingerprint: fingerprint(&folder),
        files: folder.files().to_vec(),
        manifest: folder.manifest,
        source,
    })
}

/// What a folder's content is recognized by: its manifest, and name, length and time of each file;
/// of a Delta table also its version, of a bucket's object its tag.
fn fingerprint(folder: &Folder) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(format!("{:?}", folder.manifest).as_bytes());
    for file in folder.files() {
        let of_file = format!(
            "\0{:?} {:?} {} {:?} {:?} {:?}",
            file.entity,
            file.name,
            file.bytes,
            changed_at(&file.path),
            file.table_version(),
            file.object_version()
        );
        hash.update(of_file.as_bytes());
    }
    hash.finalize().to_hex().to_string()
}

fn changed_at(path: &Path) -> Option<u128> {
    let changed = fs::metadata(path).and_then(|about| about.modified()).ok()?;
    let since = changed.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_nanos())
}

fn is_gone(id: DataSourceId) -> Error {
    let text = format!("the data source {id} was deleted meanwhile; nothing was loaded");
    Error::new(ErrorCode::DataSourceNotFound, text).with_target(id.to_string())
}

fn belongs_elsewhere(one: &Opened, entity: &str, owner: &str) -> Error {
    let why = format!("the entity {entity} belongs to {owner}; an entity comes from one source");
    one.refuse(ErrorCode::InvalidArgument, &why)
}
