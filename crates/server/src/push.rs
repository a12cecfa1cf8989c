//! Owns the upload of a snapshot: open it or go on with one that was interrupted, send what is
//! missing, commit.
//! Must not find files or print anything: it gets parts and reports to a [`Progress`].

mod resume;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sanntid_types::Manifest;

use crate::api::{ArrivedPart, Instance, JobView};
use crate::client::{Error, Stream};
use crate::signals::Interrupt;

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The entity's name in the manifest.
    pub entity: String,
    pub path: PathBuf,
    pub kind: PartKind,
    pub packing: PartPacking,
    pub bytes: u64,
}

/// Says how a file's rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    Csv,
    Ndjson,
    Parquet,
}

/// Says how a file is compressed as a whole; Parquet is not, it compresses its pages itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartPacking {
    None,
    Gzip,
    Zstd,
}

/// Hears how far an upload came.
pub trait Progress {
    /// A file begins, maybe again.
    fn begin(&self, part: &Part);
    /// So many bytes more of it were sent.
    fn advance(&self, bytes: u64);
    /// The file is stored.
    fn end(&self, part: &Part);
    /// An interrupted upload had stored the file already.
    fn skip(&self, part: &Part);
}

/// Hears nothing.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &Part) {}
    fn advance(&self, _: u64) {}
    fn end(&self, _: &Part) {}
    fn skip(&self, _: &Part) {}
}

/// Uploads a snapshot and gives the job that loads it.
///
/// An open upload of the same manifest is gone on with: parts that arrived with the same bytes are
/// not sent again.
///
/// # Errors
/// Every [`Error`]. An upload that the server refuses is thrown away; an interrupted one stays, to
/// be gone on with until it expires.
pub fn push(
    instance: &Instance,
    manifest: &Manifest,
    parts: &[Part],
    progress: &dyn Progress,
) -> Result<JobView, Error> {
    let open = instance.open_snapshots()?;
    let begun = open.into_iter().find(|open| resume::fits(open, manifest));
    let (snapshot, arrived) = match begun {
        Some(open) => (open.snapshot_id, open.parts),
        None => (instance.open_snapshot(manifest)?, Vec::new()),
    };
    let sent = send_all(instance, &snapshot, parts, &arrived, progress)
        .and_then(|()| instance.commit_snapshot(&snapshot));
    if let Err(Error::Refused(_)) = sent {
        // It expires by itself if even this fails; the first error is the one that matters.
        if let Err(error) = instance.abort_snapshot(&snapshot) {
            tracing::debug!(%error, snapshot, "upload could not be thrown away");
        }
    }
    sent
}

fn send_all(
    instance: &Instance,
    snapshot: &str,
    parts: &[Part],
    arrived: &[ArrivedPart],
    progress: &dyn Progress,
) -> Result<(), Error> {
    for (index, part) in parts.iter().enumerate() {
        let entity = &part.entity;
        let before = parts.iter().take(index);
        let number = 1 + before.filter(|other| other.entity == *entity).count();
        let there = arrived
            .iter()
            .find(|there| there.number == number && there.entity == mapped(entity));
        if let Some(there) = there
            && resume::is_same(part, there, instance.client().interrupt())?
        {
            progress.skip(part);
            continue;
        }
        let sending = Sending {
            part,
            progress,
            interrupt: instance.client().interrupt(),
        };
        instance.put_part(snapshot, &mapped(entity), number, &sending)?;
        progress.end(part);
    }
    Ok(())
}

/// The entity's name on the wire: other characters than `[A-Za-z0-9_]` are mapped away.
fn mapped(entity: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || c == '_';
    entity
        .chars()
        .map(|c| if keep(c) { c } else { '_' })
        .collect()
}

struct Sending<'a> {
    part: &'a Part,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
}

impl Stream for Sending<'_> {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        let file = open(&self.part.path)?;
        self.progress.begin(self.part);
        Ok(Box::new(Watched {
            file,
            progress: self.progress,
            interrupt: self.interrupt,
        }))
    }

    fn bytes(&self) -> u64 {
        self.part.bytes
    }

    fn content_type(&self) -> &'static str {
        match self.part.kind {
            PartKind::Csv => "text/csv",
            PartKind::Ndjson => "application/x-ndjson",
            PartKind::Parquet => "application/vnd.apache.parquet",
        }
    }

    fn content_encoding(&self) -> Option<&'static str> {
        match self.part.packing {
            PartPacking::None => None,
            PartPacking::Gzip => Some("gzip"),
            PartPacking::Zstd => Some("zstd"),
        }
    }
}

/// Opens a file; the error names it.
fn open(path: &Path) -> io::Result<File> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    File::open(path).map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
}

struct Watched<'a> {
    file: File,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.interrupt.is_raised() {
            return Err(io::Error::other("interrupted"));
        }
        let read = self.file.read(buffer)?;
        self.progress.advance(u64::try_from(read).unwrap_or(0));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_goes_under_its_mapped_name() {
        for (name, expected) in [
            ("Customer", "Customer"),
            ("Loyalty Tier", "Loyalty_Tier"),
            ("é", "_"),
        ] {
            assert_eq!(mapped(name), expected);
        }
    }
}
