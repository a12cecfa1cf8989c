//! Owns what a refresh reads: entities with their files, from uploads and data sources alike.
//!
//! Must not know what a row means.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sanntid_sources::{EntityFile, FileFormat, FileKind, Packing, Patience, Rows};
use sanntid_store::catalog::{PartEncoding, PartRecord, UploadRecord};
use sanntid_types::{EntityName, EntitySchema, Error, ErrorCode, Instant};

use super::{
    progress::{Progress, Stop},
    run::{Failure, Run},
    sources::Opened,
};

/// How long a failing disk or network is waited for before each further attempt.
const RETRY_AFTER: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// One entity that is to be loaded.
pub(crate) struct EntityInput {
    pub(crate) schema: Arc<EntitySchema>,
    pub(crate) as_of: Instant,
    /// In the order in which they are read.
    pub(crate) files: Vec<Arc<InputFile>>,
}

/// One file with rows.
pub(crate) struct InputFile {
    /// What messages call it.
    shown: String,
    /// Its number, where it is a part of an upload.
    pub(crate) part: Option<u32>,
    /// Its name, where it is a data source's.
    pub(crate) name: Option<String>,
    bytes: Bytes,
}

/// Where a file's bytes are.
enum Bytes {
    Part(PathBuf, FileFormat),
    Source(Box<EntityFile>),
}

impl InputFile {
    /// Begins to read; not on the job's own thread, since it may never come back. What a disk or a
    /// network fails with for a moment, now or later, is waited for, and reading goes on from there.
    pub(crate) fn open(
        &self,
        schema: &EntitySchema,
        progress: &Arc<Progress>,
    ) -> Result<Rows, sanntid_sources::Error> {
        let waiting = Arc::clone(progress);
        let patience = Patience::new(&RETRY_AFTER, move |delay, error| {
            tracing::warn!(%error, "a file can't be read at present");
            waiting.pause(delay).is_ok() && !waiting.reading_is_over()
        });
        match &self.bytes {
            Bytes::Part(path, format) => {
                sanntid_sources::open_path(path, *format, schema, &patience)
            }
            Bytes::Source(file) => file.open_patiently(schema, &patience),
        }
    }

    /// Says why it can't be read.
    pub(crate) fn unreadable(&self, entity: &EntityName, error: &sanntid_sources::Error) -> Error {
        let shown = &self.shown;
        Error::new(ErrorCode::InvalidBody, format!("{shown}: {error}")).with_target(entity.as_str())
    }
}

/// The entities of an upload.
pub(crate) fn of_upload(run: &Run, upload: &UploadRecord) -> Result<Vec<EntityInput>, Failure> {
    let schemas = upload.manifest.schemas()?;
    let input = |schema: EntitySchema| {
        let parts = upload.parts.iter();
        let mut parts: Vec<&PartRecord> = parts.filter(|part| part.entity == schema.name).collect();
        parts.sort_by_key(|part| part.number);
        let file = |part: &PartRecord| InputFile {
            shown: format!("{} part {}", part.entity, part.number),
            part: Some(part.number),
            name: None,
            bytes: Bytes::Part(
                run.shared
                    .part_file(run.state.incarnation, upload.id, &part.file),
                format_of(part.encoding),
            ),
        };
        EntityInput {
            as_of: upload.manifest.as_of,
            files: parts.into_iter().map(|part| file(part).into()).collect(),
            schema: schema.into(),
        }
    };
    Ok(schemas.into_iter().map(input).collect())
}

/// The entities of data sources.
pub(crate) fn of_sources(sources: &[Opened]) -> Result<Vec<EntityInput>, Failure> {
    let mut inputs = Vec::new();
    for opened in sources {
        let schemas = opened.manifest.schemas()?;
        for (entity, schema) in opened.manifest.entities.iter().zip(schemas) {
            let of_entity = |file: &&EntityFile| file.entity == entity.name;
            let files = opened.files.iter().filter(of_entity);
            let input = |file: &EntityFile| InputFile {
                shown: format!(
                    "{:?} of the data source {}",
                    file.name, opened.source.friendly_name
                ),
                part: None,
                name: Some(file.name.clone()),
                bytes: Bytes::Source(Box::new(file.clone())),
            };
            inputs.push(EntityInput {
                as_of: opened.manifest.as_of,
                files: files.map(|file| input(file).into()).collect(),
                schema: schema.into(),
            });
        }
    }
    Ok(inputs)
}

/// Tries again a few times where a disk or a network fails for a moment; each attempt is one that
/// may never come back, and a wish that the job stop ends the waiting between them.
pub(crate) fn retried<T>(
    progress: &Progress,
    mut attempt: impl FnMut() -> Result<T, sanntid_sources::Error>,
) -> Result<Result<T, sanntid_sources::Error>, Stop> {
    for delay in RETRY_AFTER {
        match progress.at_source(&mut attempt)? {
            Err(error) if error.may_pass() => {
                tracing::warn!(%error, "a file can't be read at present");
                progress.pause(delay)?;
            }
            outcome => return Ok(outcome),
        }
    }
    progress.at_source(attempt)
}

fn format_of(encoding: PartEncoding) -> FileFormat {
    let (kind, packing) = match encoding {
        PartEncoding::Csv => (FileKind::Csv, Packing::None),
        PartEncoding::CsvGzip => (FileKind::Csv, Packing::Gzip),
        PartEncoding::CsvZstd => (FileKind::Csv, Packing::Zstd),
        PartEncoding::Ndjson => (FileKind::Ndjson, Packing::None),
        PartEncoding::NdjsonGzip => (FileKind::Ndjson, Packing::Gzip),
        PartEncoding::NdjsonZstd => (FileKind::Ndjson, Packing::Zstd),
        PartEncoding::Parquet => (FileKind::Parquet, Packing::None),
    };
    FileFormat { kind, packing }
}

#[cfg(test)]
mod tests {
    use std::io;

    use sanntid_sources::Error as Unreadable;
    use sanntid_types::{Clock, JobId};

    use super::*;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Instant {
            Instant::MIN
        }
    }

    fn progress() -> Arc<Progress> {
        Progress::new(
            JobId(uuid::Uuid::nil()),
            Arc::new(Still),
            Duration::from_secs(1),
        )
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let attempts = |kind: io::ErrorKind| {
            let mut count = 0;
            let outcome: Result<Result<(), _>, _> = retried(&progress(), || {
                count += 1;
                if count == 2 {
                    return Ok(());
                }
                Err(Unreadable::Io(kind.into()).in_file("a.csv"))
            });
            (count, outcome.expect("nobody stops it").is_ok())
        };
        assert_eq!(attempts(io::ErrorKind::TimedOut), (2, true));
        assert_eq!(attempts(io::ErrorKind::NotFound), (1, false));
        assert_eq!(attempts(io::ErrorKind::PermissionDenied), (1, false));
    }

    #[test]
    fn a_wish_to_stop_ends_the_waiting_between_attempts_at_once() {
        let progress = progress();
        let mut count = 0;
        let outcome: Result<Result<(), _>, _> = retried(&progress, || {
            count += 1;
            match count {
                1 | 2 => {}
                // The next wait would be the longest one.
                3 => progress.cancel(),
                _ => panic!("tried again after it was cancelled"),
            }
            Err(Unreadable::Io(io::ErrorKind::TimedOut.into()))
        });
        assert_eq!((count, outcome.err()), (3, Some(Stop::Cancelled)));
    }

    #[test]
    fn waiting_ends_when_somebody_else_cancels() {
        let progress = progress();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| progress.pause(Duration::from_secs(600)));
            progress.cancel();
            let waited = waiting.join().expect("no panic");
            assert_eq!(waited, Err(Stop::Cancelled));
        });
    }
}
