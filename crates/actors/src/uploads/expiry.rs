//! Owns the end of uploads: records that have expired, and files that no record names.
//!
//! Must not remove what may still be read or written: see [`KEPT`].

use std::{fs, io::ErrorKind, path::Path, time::Duration};

use sanntid_store::{WriteBatch, catalog};
use sanntid_types::{Incarnation, Instant, SnapshotId};

use crate::node::{Shared, settled_snapshot};

/// How long an expired upload is kept; by then nobody can be about to change it.
const KEPT: Duration = Duration::from_secs(3600);

impl Shared {
    /// Removes the files of an upload that nobody will read again.
    pub(crate) fn remove_files(&self, incarnation: Incarnation, upload: SnapshotId) {
        remove_folder(&self.uploads_of(incarnation).join(upload.to_string()));
    }
}

/// Removes the files of an ended life.
pub(crate) fn remove_files_of(shared: &Shared, incarnation: Incarnation) {
    remove_folder(&shared.uploads_of(incarnation));
}

/// Removes uploads that expired an hour ago, and folders that no record names.
pub(crate) fn remove_expired(shared: &Shared, now: Instant) -> sanntid_store::Result<()> {
    // Folders first: each is younger than its record.
    let folders = folders(shared);
    let snapshot = settled_snapshot(&*shared.kv)?;
    let mut batch = WriteBatch::new();
    let mut rubbish = Vec::new();
    for found in catalog::all_uploads(&*snapshot) {
        let (incarnation, record) = found?;
        let job = match record.job {
            Some(job) => catalog::job(&*snapshot, incarnation, job)?,
            None => None,
        };
        let is_loading = job.is_some_and(|job| !job.status.is_ended());
        if record.expires_at.plus(KEPT) <= now && !is_loading {
            catalog::remove_upload(&mut batch, incarnation, record.id);
            rubbish.push((incarnation, record.id));
        }
    }
    for (incarnation, upload) in folders {
        if catalog::upload(&*snapshot, incarnation, upload)?.is_none() {
            rubbish.push((incarnation, upload));
        }
    }
    drop(snapshot);
    if !batch.is_empty() {
        shared.kv.commit(batch)?;
    }
    for (incarnation, upload) in rubbish {
        shared.remove_files(incarnation, upload);
    }
    Ok(())
}

/// The uploads that have a folder.
fn folders(shared: &Shared) -> Vec<(Incarnation, SnapshotId)> {
    let mut found = Vec::new();
    for life in names_in(&shared.uploads) {
        let Ok(number) = u64::from_str_radix(&life, 16) else {
            continue;
        };
        let uploads = names_in(&shared.uploads.join(&life));
        let uploads = uploads.iter().filter_map(|name| SnapshotId::parse(name));
        found.extend(uploads.map(|upload| (Incarnation(number), upload)));
    }
    found
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

pub(super) fn remove_file(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(%error, "an upload's file can't be removed");
        }
        _ => {}
    }
}

fn remove_folder(path: &Path) {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(%error, "an upload's files can't be removed");
        }
        _ => {}
    }
}
