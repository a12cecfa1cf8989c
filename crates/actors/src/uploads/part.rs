//! Owns the parts of uploads: files that are synced before a record names them.
//!
//! Must not read what is in a part.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    sync::{Arc, mpsc},
};

use sanntid_engine::{CallError, PartFormat, PartPacking, PartSink};
use sanntid_store::{
    Health,
    catalog::{self, PartEncoding, PartRecord},
};
use sanntid_types::{
    Actor, AuditNote, EntityName, Error, ErrorCode, Incarnation, InstanceId, SnapshotId,
};

use super::{expiry::remove_file, open_record};
use crate::{
    node::{Shared, not_found},
    outcome::refusal,
    tenant::Change,
};

/// Folders whose entries are new with the first part: the upload's, its life's, that of all, and
/// the one where that lies.
const FOLDERS: usize = 4;

impl Shared {
    pub(crate) fn open_part(
        self: &Arc<Self>,
        id: InstanceId,
        upload: SnapshotId,
        entity: &EntityName,
        (number, format): (u32, PartFormat),
        by: Actor,
    ) -> Result<Box<dyn PartSink>, CallError> {
        let incarnation = self.record_of(id)?.incarnation;
        let snapshot = self.kv.snapshot().map_err(|error| refusal(&error))?;
        let record = open_record(&*snapshot, incarnation, upload, self.clock.now())?;
        drop(snapshot);
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
            by,
            record: PartRecord {
                entity: known.name.clone(),
                number,
                encoding: encoding(format),
                bytes: 0,
                hash: String::new(),
                file,
            },
            path,
            hasher: blake3::Hasher::new(),
            writer: Some(created),
        }))
    }

    /// Runs `work` on the control thread and blocks this one for it; `None` where that has ended.
    fn wait_for<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.control.spawn(async move {
            // Whoever has waited is still there: it can't go away.
            sender.send(work.await).ok();
        });
        receiver.recv().ok()
    }
}

struct Part {
    shared: Arc<Shared>,
    id: InstanceId,
    incarnation: Incarnation,
    upload: SnapshotId,
    by: Actor,
    record: PartRecord,
    path: PathBuf,
    hasher: blake3::Hasher,
    /// `None` once a record names the part, or may: its file is to stay.
    writer: Option<File>,
}

impl PartSink for Part {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        // The space below the mark is what the store itself needs to go on.
        if let Health::DiskFull { .. } = self.shared.kv.health() {
            return Err(disk_full());
        }
        writer.write_all(bytes).map_err(|error| disk(&error))?;
        self.hasher.update(bytes);
        self.record.bytes += bytes.len() as u64;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), CallError> {
        let synced = self.sync();
        self.record.hash = self.hasher.finalize().to_hex().to_string();
        let (shared, id) = (Arc::clone(&self.shared), self.id);
        let (incarnation, upload, record) = (self.incarnation, self.upload, self.record.clone());
        let by = self.by.clone();
        let named = self.shared.wait_for(async move {
            let parts_max = shared.config.upload_parts_max;
            let decide = move |change: &mut Change<'_>| {
                if change.state.incarnation != incarnation {
                    return Err(not_found(change.state.instance));
                }
                // What was aborted meanwhile can't be synced: that it is gone is what to say.
                let note = noted(upload, &record);
                let replaced = name_part(change, upload, record, parts_max);
                change.note(by, note)?;
                replaced.and_then(|replaced| synced.map(|()| replaced))
            };
            shared.change(id, decide).await
        });
        match named {
            Some(Ok(replaced)) => {
                self.writer = None;
                if let Some(file) = replaced {
                    remove_file(&self.shared.part_file(incarnation, upload, &file));
                }
                Ok(())
            }
            Some(Err(CallError::Refused(error))) => Err(error.into()),
            Some(Err(CallError::Unknown)) | None => {
                // A record may name the file: expiry removes it where none does.
                self.writer = None;
                Err(CallError::Unknown)
            }
        }
    }
}

impl Part {
    fn sync(&self) -> Result<(), Error> {
        if let Some(writer) = &self.writer {
            writer.sync_all().map_err(|error| disk(&error))?;
        }
        for folder in self.path.ancestors().skip(1).take(FOLDERS) {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|error| disk(&error))?;
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

/// Puts a part into its upload's record; gives the file of the one that it replaces.
fn name_part(
    change: &mut Change<'_>,
    upload: SnapshotId,
    part: PartRecord,
    parts_max: usize,
) -> Result<Option<String>, Error> {
    let incarnation = change.state.incarnation;
    let mut record = open_record(change.snapshot, incarnation, upload, change.now)?;
    let same = |other: &PartRecord| other.number == part.number && other.entity == part.entity;
    let replaced = record.parts.iter().position(same);
    let replaced = replaced.map(|at| record.parts.remove(at).file);
    if record.parts.len() >= parts_max {
        let text = format!("an upload has at most {parts_max} parts");
        return Err(Error::new(ErrorCode::InvalidArgument, text).with_target("part"));
    }
    record.parts.push(part);
    catalog::put_upload(&mut change.batch, incarnation, &record);
    Ok(replaced)
}

fn noted(upload: SnapshotId, part: &PartRecord) -> AuditNote {
    AuditNote::of(upload)
        .with("entity", &part.entity)
        .with("part", part.number)
        .with("bytes", part.bytes)
        .with("hash", &part.hash)
}

fn encoding(format: PartFormat) -> PartEncoding {
    match format {
        PartFormat::Csv(PartPacking::None) => PartEncoding::Csv,
        PartFormat::Csv(PartPacking::Gzip) => PartEncoding::CsvGzip,
        PartFormat::Csv(PartPacking::Zstd) => PartEncoding::CsvZstd,
        PartFormat::Ndjson(PartPacking::None) => PartEncoding::Ndjson,
        PartFormat::Ndjson(PartPacking::Gzip) => PartEncoding::NdjsonGzip,
        PartFormat::Ndjson(PartPacking::Zstd) => PartEncoding::NdjsonZstd,
        PartFormat::Parquet => PartEncoding::Parquet,
    }
}

fn disk_full() -> Error {
    let text = "the disk is too full to take the part; nothing was stored";
    Error::new(ErrorCode::DiskFull, text).with_target("freeSpace")
}

fn disk(error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return disk_full();
    }
    tracing::error!(%error, "an upload's part can't be written");
    Error::new(
        ErrorCode::Internal,
        "the part can't be written; nothing was stored",
    )
}
