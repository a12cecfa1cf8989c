//! Owns uploads: their records, what makes one whole, their commit and abort.
//!
//! A record changes with its tenant only, like everything else of an instance. Must not read what
//! is in a part, but for the attributes that a Parquet file tells.

mod attributes;
mod expiry;
mod part;

use std::{path::PathBuf, sync::Arc};

use sanntid_engine::{ArrivedPart, CallError, OpenSnapshot, Snapshot, SnapshotState};
use sanntid_store::{
    Snapshot as Stored,
    catalog::{self, UploadRecord},
};
use sanntid_types::{
    Actor, AuditNote, CUSTOMER, Detail, Error, ErrorCode, Incarnation, InstanceId, Instant, Job,
    JobKind, Manifest, Origin, SnapshotId,
};

pub(crate) use self::attributes::check_manifest;
pub(crate) use self::expiry::{remove_expired, remove_files_of};
use crate::{node::Shared, outcome::refusal, refresh, tenant::Change};

/// How often a commit is decided: once before parts are read, and again where they are being
/// replaced meanwhile.
const COMMIT_ATTEMPTS_MAX: usize = 4;

impl Shared {
    /// The folder of one life's uploads.
    fn uploads_of(&self, incarnation: Incarnation) -> PathBuf {
        self.uploads.join(format!("{:016x}", incarnation.0))
    }

    /// The file of a part.
    pub(crate) fn part_file(
        &self,
        incarnation: Incarnation,
        upload: SnapshotId,
        file: &str,
    ) -> PathBuf {
        self.uploads_of(incarnation)
            .join(upload.to_string())
            .join(file)
    }

    pub(crate) async fn open_upload(
        self: &Arc<Self>,
        id: InstanceId,
        manifest: Manifest,
        by: Actor,
    ) -> Result<Snapshot, CallError> {
        let (open_max, ttl) = (self.config.uploads_open_max, self.config.upload_ttl);
        self.change(id, move |change| {
            let mut manifest = manifest;
            attributes::check_opened(change, &mut manifest)?;
            check_origins(change, &manifest)?;
            manifest.as_of = change.state.check_as_of(manifest.as_of, change.now)?;
            let mut open = 0;
            for upload in catalog::uploads(change.snapshot, change.state.incarnation) {
                let upload = upload.map_err(|error| refusal(&error))?;
                open += usize::from(upload.job.is_none() && upload.expires_at > change.now);
            }
            if open >= open_max {
                let text = format!("{open} uploads are open; commit or abort one first");
                return Err(Error::new(ErrorCode::Overloaded, text).with_target("uploadsOpen"));
            }
            // From now on no write falls before what this refresh has seen (rules 2.2).
            change.state.open_refresh(manifest.as_of);
            let record = UploadRecord {
                id: SnapshotId(uuid::Uuid::now_v7()),
                manifest,
                opened_at: change.now,
                expires_at: change.now.plus(ttl),
                job: None,
                parts: Vec::new(),
            };
            catalog::put_upload(&mut change.batch, change.state.incarnation, &record);
            let note = AuditNote::of(record.id).with("asOf", record.manifest.as_of);
            change.note(by, note)?;
            Ok(described(&record))
        })
        .await
    }

    /// The uploads of an instance that can still be filled, oldest first.
    pub(crate) fn list_open_uploads(&self, id: InstanceId) -> Result<Vec<OpenSnapshot>, CallError> {
        let incarnation = self.record_of(id)?.incarnation;
        let snapshot = self.kv.snapshot().map_err(|error| refusal(&error))?;
        let now = self.clock.now();
        let mut open = Vec::new();
        for record in catalog::uploads(&*snapshot, incarnation) {
            let record = record.map_err(|error| refusal(&error))?;
            if record.job.is_some() || record.expires_at <= now {
                continue;
            }
            let snapshot = described(&record);
            let parts = record.parts.into_iter().map(|part| ArrivedPart {
                entity: part.entity,
                number: part.number,
                bytes: part.bytes,
                hash: part.hash,
            });
            open.push(OpenSnapshot {
                snapshot,
                manifest: record.manifest,
                parts: parts.collect(),
            });
        }
        Ok(open)
    }

    pub(crate) async fn commit_upload(
        self: &Arc<Self>,
        id: InstanceId,
        upload: SnapshotId,
        by: Actor,
    ) -> Result<Job, CallError> {
        let jobs_max = self.config.jobs_queued_max;
        // Most uploads need nothing of their parts.
        let mut read = attributes::Read::new();
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let by = by.clone();
            let decide = move |change: &mut Change<'_>| {
                let job = commit(change, upload, &read, jobs_max)?;
                if let Some(job) = &job {
                    change.note(by, AuditNote::of(upload).with("job", job.id))?;
                }
                Ok(job)
            };
            if let Some(job) = self.change(id, decide).await? {
                return Ok(refresh::shown(self, id, job));
            }
            let reading = self.aside(move |shared| attributes::read(shared, id, upload));
            read = reading.await?;
        }
        let text = "parts of the upload kept being replaced; commit it once they are not";
        Err(Error::new(ErrorCode::Overloaded, text).into())
    }

    pub(crate) async fn abort_upload(
        self: &Arc<Self>,
        id: InstanceId,
        upload: SnapshotId,
        by: Actor,
    ) -> Result<(), CallError> {
        let incarnation = self.change(id, move |change| {
            let incarnation = change.state.incarnation;
            let record = open_record(change.snapshot, incarnation, upload, change.now)?;
            catalog::remove_upload(&mut change.batch, incarnation, record.id);
            change.note(by, AuditNote::of(upload))?;
            Ok(incarnation)
        });
        let incarnation = incarnation.await?;
        self.aside(move |shared| {
            shared.remove_files(incarnation, upload);
            Ok(())
        })
        .await
    }
}

/// Queues the job that loads an upload; `None` where its parts are others than those read.
fn commit(
    change: &mut Change<'_>,
    upload: SnapshotId,
    read: &attributes::Read,
    jobs_max: usize,
) -> Result<Option<Job>, Error> {
    let incarnation = change.state.incarnation;
    let record = catalog::upload(change.snapshot, incarnation, upload);
    let record = record.map_err(|error| refusal(&error))?;
    if let Some(job) = record.as_ref().and_then(|record| record.job) {
        let job = catalog::job(change.snapshot, incarnation, job);
        let job = job.map_err(|error| refusal(&error))?;
        return job.ok_or_else(|| no_upload(upload)).map(Some);
    }
    let mut record = open_record(change.snapshot, incarnation, upload, change.now)?;
    check_parts(change, &record)?;
    if !attributes::complete(change, &mut record, read)? {
        return Ok(None);
    }
    check_origins(change, &record.manifest)?;
    change
        .state
        .check_as_of(record.manifest.as_of, change.now)?;
    let job = refresh::new_job(change, JobKind::Upload(upload), jobs_max)?;
    record.job = Some(job.id);
    catalog::put_upload(&mut change.batch, incarnation, &record);
    Ok(Some(job))
}

/// Refuses entities that a data source brings: an entity comes from one source (rules 6.1).
fn check_origins(change: &Change<'_>, manifest: &Manifest) -> Result<(), Error> {
    for schema in manifest.schemas()? {
        let name = schema.name.as_str();
        if let Some(Origin::Source(source)) = change.state.origin(name) {
            let text = format!(
                "the entity {name} belongs to the data source {source}; an entity comes from one \
                 source: delete the data source first"
            );
            return Err(Error::new(ErrorCode::InvalidArgument, text).with_target(name));
        }
    }
    Ok(())
}

/// Checks that an upload is whole: every entity has parts, without gaps, and there is a Customer.
fn check_parts(change: &Change<'_>, record: &UploadRecord) -> Result<(), Error> {
    let mut problems = Vec::new();
    let schemas = record.manifest.schemas()?;
    for schema in &schemas {
        let name = schema.name.as_str();
        let mut numbers: Vec<u32> = record
            .parts
            .iter()
            .filter(|part| part.entity == schema.name)
            .map(|part| part.number)
            .collect();
        numbers.sort_unstable();
        let problem = match (1..)
            .zip(&numbers)
            .find(|(expected, number)| expected != *number)
        {
            _ if numbers.is_empty() => "the entity has no part".to_owned(),
            Some((missing, _)) => format!("part {missing} is missing"),
            None => continue,
        };
        problems.push(Detail::new(ErrorCode::InvalidArgument, name, problem));
    }
    let has_customer = schemas
        .iter()
        .any(|schema| schema.name.as_str() == CUSTOMER);
    if !has_customer && change.state.customer().is_none() {
        let text = "no snapshot has brought Customer yet, and this one doesn't either";
        problems.push(Detail::new(ErrorCode::InvalidArgument, CUSTOMER, text));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::of_details("the upload is not complete", problems))
    }
}

fn open_record(
    snapshot: &dyn Stored,
    incarnation: Incarnation,
    upload: SnapshotId,
    now: Instant,
) -> Result<UploadRecord, Error> {
    let record = catalog::upload(snapshot, incarnation, upload).map_err(|error| refusal(&error))?;
    let record = record.filter(|record| record.job.is_some() || record.expires_at > now);
    let record = record.ok_or_else(|| no_upload(upload))?;
    if record.job.is_some() {
        let text = "the upload is committed; open another one to send more";
        return Err(Error::new(ErrorCode::SnapshotClosed, text).with_target(upload.to_string()));
    }
    Ok(record)
}

fn described(record: &UploadRecord) -> Snapshot {
    Snapshot {
        id: record.id,
        state: match record.job {
            Some(_) => SnapshotState::Committed,
            None => SnapshotState::Open,
        },
        expires_at: record.expires_at,
    }
}

fn no_upload(upload: SnapshotId) -> Error {
    let text = format!("there is no upload {upload}, or it has expired");
    Error::new(ErrorCode::SnapshotNotFound, text).with_target(upload.to_string())
}
