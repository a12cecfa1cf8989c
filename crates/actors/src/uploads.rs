//! Owns uploads: their records, the files of their parts, their expiry.
//!
//! A part is a file that is synced before its record names it; files that no record names are
//! rubbish. Must not read what is in a part.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    sync::Arc,
};

use sanntid_engine::{CallError, PartFormat, PartKind, PartSink, Snapshot, SnapshotState};
use sanntid_store::{
    WriteBatch,
    catalog::{self, PartEncoding, PartRecord, UploadRecord},
};
use sanntid_types::{
    CUSTOMER, Detail, EntityName, Error, ErrorCode, Incarnation, InstanceId, Instant, Job, JobId,
    JobKind, JobStatus, Manifest, SnapshotId,
};

use crate::{
    node::{Shared, not_found},
    outcome::{call_error, refusal},
    refresh,
    tenant::Change,
};

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
    ) -> Result<Snapshot, CallError> {
        let (open_max, ttl) = (self.config.uploads_open_max, self.config.upload_ttl);
        self.change(id, move |change| {
            let mut manifest = manifest;
            check_manifest(change, &mut manifest)?;
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
            Ok(described(&record))
        })
        .await
    }

    pub(crate) fn open_part(
        self: &Arc<Self>,
        id: InstanceId,
        upload: SnapshotId,
        entity: &EntityName,
        number: u32,
        format: PartFormat,
    ) -> Result<Box<dyn PartSink>, CallError> {
        let incarnation = self.record_of(id)?.incarnation;
        let record = self.open_upload_record(incarnation, upload)?;
        let known = record.manifest.schemas()?;
        let known = known
            .iter()
            .find(|known| known.name.as_str().eq_ignore_ascii_case(entity.as_str()));
        let Some(known) = known else {
            let text = format!("the manifest of this upload names no entity {entity}");
            return Err(Error::new(ErrorCode::EntityNotFound, text)
                .with_target(entity.as_str())
                .into());
        };
        let parts_max = self.config.upload_parts_max;
        let number_max = u32::try_from(parts_max).unwrap_or(u32::MAX);
        if number == 0 || number > number_max {
            let text = format!("parts are numbered from 1 to {parts_max}");
            return Err(Error::new(ErrorCode::InvalidArgument, text)
                .with_target("part")
                .into());
        }
        let file = format!("{}.{number}.{}", known.name, uuid::Uuid::new_v4().simple());
        let path = self.part_file(incarnation, upload, &file);
        let created = path.parent().map_or(Ok(()), fs::create_dir_all);
        let created = created
            .and_then(|()| File::create(&path))
            .map_err(|error| disk(&error))?;
        Ok(Box::new(Part {
            shared: Arc::clone(self),
            id,
            incarnation,
            upload,
            record: PartRecord {
                entity: known.name.clone(),
                number,
                encoding: encoding(format),
                bytes: 0,
                file,
            },
            path,
            writer: Some(created),
        }))
    }

    fn open_upload_record(
        &self,
        incarnation: Incarnation,
        upload: SnapshotId,
    ) -> Result<UploadRecord, Error> {
        let snapshot = self.kv.snapshot().map_err(|error| refusal(&error))?;
        open_record(&*snapshot, incarnation, upload, self.clock.now())
    }

    pub(crate) async fn commit_upload(
        self: &Arc<Self>,
        id: InstanceId,
        upload: SnapshotId,
    ) -> Result<Job, CallError> {
        let shared = Arc::clone(self);
        let jobs_max = self.config.jobs_queued_max;
        let job = self
            .change(id, move |change| {
                let _no_part_meanwhile = shared.upload_changes.lock();
                let incarnation = change.state.incarnation;
                let record = catalog::upload(change.snapshot, incarnation, upload);
                let record = record.map_err(|error| refusal(&error))?;
                if let Some(job) = record.as_ref().and_then(|record| record.job) {
                    let job = catalog::job(change.snapshot, incarnation, job);
                    let job = job.map_err(|error| refusal(&error))?;
                    return job.ok_or_else(|| no_upload(upload));
                }
                let mut record = open_record(change.snapshot, incarnation, upload, change.now)?;
                check_parts(change, &record)?;
                change
                    .state
                    .check_as_of(record.manifest.as_of, change.now)?;
                let job = refresh::new_job(change, JobKind::Upload(upload), jobs_max)?;
                record.job = Some(job.id);
                catalog::put_upload(&mut change.batch, incarnation, &record);
                Ok(job)
            })
            .await?;
        refresh::submit(self, id).await?;
        Ok(job)
    }

    pub(crate) fn abort_upload(&self, id: InstanceId, upload: SnapshotId) -> Result<(), CallError> {
        let incarnation = self.record_of(id)?.incarnation;
        let _no_part_meanwhile = self.upload_changes.lock();
        let record = self.open_upload_record(incarnation, upload)?;
        let mut batch = WriteBatch::new();
        catalog::remove_upload(&mut batch, incarnation, record.id);
        self.kv.commit(batch).map_err(|error| call_error(&error))?;
        self.remove_files(incarnation, upload);
        Ok(())
    }

    /// Removes the files of an upload that nobody will read again.
    pub(crate) fn remove_files(&self, incarnation: Incarnation, upload: SnapshotId) {
        remove_folder(&self.uploads_of(incarnation).join(upload.to_string()));
    }
}

/// Removes the files of an ended life.
pub(crate) fn remove_files_of(shared: &Shared, incarnation: Incarnation) {
    remove_folder(&shared.uploads_of(incarnation));
}

/// Removes uploads that have expired, and the files of lives that have ended.
pub(crate) fn remove_expired(shared: &Shared, now: Instant) -> sanntid_store::Result<()> {
    let _no_part_meanwhile = shared.upload_changes.lock();
    let snapshot = shared.kv.snapshot()?;
    let mut batch = WriteBatch::new();
    let mut expired = Vec::new();
    for found in catalog::all_uploads(&*snapshot) {
        let (incarnation, record) = found?;
        let loads = match record.job {
            Some(job) => catalog::job(&*snapshot, incarnation, job)?,
            None => None,
        };
        let is_loading = loads.is_some_and(|job: Job| !job.status.is_ended());
        if record.expires_at <= now && !is_loading {
            catalog::remove_upload(&mut batch, incarnation, record.id);
            expired.push((incarnation, record.id));
        }
    }
    drop(snapshot);
    if !expired.is_empty() {
        shared.kv.commit(batch)?;
    }
    for (incarnation, upload) in expired {
        shared.remove_files(incarnation, upload);
    }
    Ok(())
}

struct Part {
    shared: Arc<Shared>,
    id: InstanceId,
    incarnation: Incarnation,
    upload: SnapshotId,
    record: PartRecord,
    path: PathBuf,
    /// `None` once the part is finished and its file is to stay.
    writer: Option<File>,
}

impl PartSink for Part {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(writer) = &mut self.writer {
            writer.write_all(bytes).map_err(|error| disk(&error))?;
            self.record.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        if let Some(writer) = &self.writer {
            writer.sync_all().map_err(|error| disk(&error))?;
        }
        for folder in self.path.ancestors().skip(1).take(3) {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|error| disk(&error))?;
        }
        let shared = Arc::clone(&self.shared);
        let _one_at_a_time = shared.upload_changes.lock();
        let is_there = shared
            .record_of(self.id)
            .is_ok_and(|now| now.incarnation == self.incarnation);
        if !is_there {
            return Err(not_found(self.id));
        }
        let mut record = shared.open_upload_record(self.incarnation, self.upload)?;
        let same = |part: &PartRecord| {
            part.number == self.record.number && part.entity == self.record.entity
        };
        let replaced = record
            .parts
            .iter()
            .position(same)
            .map(|at| record.parts.remove(at));
        if record.parts.len() >= shared.config.upload_parts_max {
            let text = format!(
                "an upload has at most {} parts",
                shared.config.upload_parts_max
            );
            return Err(Error::new(ErrorCode::InvalidArgument, text).with_target("part"));
        }
        record.parts.push(self.record.clone());
        let mut batch = WriteBatch::new();
        catalog::put_upload(&mut batch, self.incarnation, &record);
        // A part whose outcome is unknown is sent again: parts are repeatable.
        shared.kv.commit(batch).map_err(|error| refusal(&error))?;
        self.writer = None;
        if let Some(replaced) = replaced {
            remove_file(&shared.part_file(self.incarnation, self.upload, &replaced.file));
        }
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.writer.is_some() {
            remove_file(&self.path);
        }
    }
}

/// Checks a manifest against what is loaded; an entity without attributes takes those it had.
fn check_manifest(change: &Change<'_>, manifest: &mut Manifest) -> Result<(), Error> {
    let mut problems = Vec::new();
    for (index, entity) in manifest.entities.iter_mut().enumerate() {
        if !entity.attributes.is_empty() {
            continue;
        }
        match change.state.entity(&entity.name) {
            Some(loaded) => {
                entity.attributes = sanntid_types::ManifestAttribute::of_schema(&loaded.schema);
                if entity.key.is_none() {
                    let key = loaded
                        .schema
                        .key
                        .and_then(|at| loaded.schema.attributes.get(at));
                    entity.key = key.map(|key| key.name.clone());
                }
            }
            None => problems.push(Detail::new(
                ErrorCode::InvalidArgument,
                &format!("entities[{index}].attributes"),
                "no snapshot has brought this entity before: name its attributes",
            )),
        }
    }
    if !problems.is_empty() {
        return Err(Error::of_details("the manifest is not valid", problems));
    }
    manifest.schemas().map(|_| ())
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
    snapshot: &dyn sanntid_store::Snapshot,
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

fn encoding(format: PartFormat) -> PartEncoding {
    match (format.kind, format.gzip) {
        (PartKind::Csv, false) => PartEncoding::Csv,
        (PartKind::Csv, true) => PartEncoding::CsvGzip,
        (PartKind::Ndjson, false) => PartEncoding::Ndjson,
        (PartKind::Ndjson, true) => PartEncoding::NdjsonGzip,
    }
}

fn no_upload(upload: SnapshotId) -> Error {
    let text = format!("there is no upload {upload}, or it has expired");
    Error::new(ErrorCode::SnapshotNotFound, text).with_target(upload.to_string())
}

fn disk(error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::StorageFull {
        let text = "the disk is too full to take the part; nothing was stored";
        return Error::new(ErrorCode::DiskFull, text).with_target("freeSpace");
    }
    tracing::error!(%error, "an upload's part can't be written");
    Error::new(
        ErrorCode::Internal,
        "the part can't be written; nothing was stored",
    )
}

fn remove_file(path: &std::path::Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(%error, "an upload's file can't be removed");
    }
}

fn remove_folder(path: &std::path::Path) {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, "an upload's files can't be removed");
        }
        _ => {}
    }
}

/// Says how a committed upload's job stands before it runs.
pub(crate) fn queued(id: JobId, kind: JobKind, now: Instant) -> Job {
    Job {
        id,
        kind,
        status: JobStatus::Queued,
        submitted_at: now,
        started_at: None,
        ended_at: None,
        stages: Vec::new(),
        report: None,
        error: None,
    }
}
