//! A bucket of S3 or Azure below a prefix: what is in it, and one attempt after another to read it.
//!
//! Owns the requests, the retries and their waits. Must not know how an object's parts are put
//! together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use sanntid_types::BucketLocation;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::bucket_error::{BucketError, Fault};
use crate::buckets::{BucketLimits, StopCheck};
use crate::object::Object;
use crate::place::{self, Found};
use crate::{Content, Error};

/// How soon a wait notices that its job was cancelled.
const POLL: Duration = Duration::from_millis(100);
/// Longest wait between two attempts.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(30);
/// How many objects may be listed to find those that a manifest means.
pub const OBJECTS_LISTED_MAX: usize = 100_000;
/// A read-ahead holds at most this many pieces…
const PIECES_AHEAD: usize = 16;
/// …of at most this many bytes.
const PIECE_BYTES: usize = 128 * 1024;

/// A prefix of a bucket. Cheap to clone.
#[derive(Clone)]
pub struct Bucket(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Where requests run; see [`crate::Buckets`].
    pub(crate) handle: Handle,
    pub(crate) location: BucketLocation,
    pub(crate) limits: BucketLimits,
    pub(crate) stop: StopCheck,
}

impl Bucket {
    pub(crate) fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        place::check_inside(name)?;
        let path = self.path(name)?;
        let found = self.with_retries(|| {
            let (store, path) = (Arc::clone(&self.0.store), path.clone());
            async move {
                store
                    .get_opts(&path, GetOptions::new().with_head(true))
                    .await
            }
        });
        match found {
            Ok(result) => Ok(Some(found_as(name.to_owned(), &result.meta))),
            Err(BucketError {
                fault: Fault::ObjectMissing,
                ..
            }) => {
                // The answer to this kind of question has no body that says what is missing.
                self.names(name, 1)?;
                Ok(None)
            }
            Err(error) => Err(Error::Bucket(error)),
        }
    }

    pub(crate) fn list(&self, under: &str, files_max: usize) -> Result<Vec<Found>, Error> {
        if !under.is_empty() {
            place::check_inside(under)?;
        }
        let under = under.trim_end_matches('/');
        let metas = self.names(under, files_max.saturating_add(1))?;
        if metas.len() > files_max {
            return Err(Error::TooManyFiles);
        }
        let root = self.0.location.prefix();
        let below = |meta: &ObjectMeta| {
            let name = meta.location.as_ref().strip_prefix(root)?;
            Some(found_as(name.trim_start_matches('/').to_owned(), meta))
        };
        Ok(metas.iter().filter_map(below).filter(is_file).collect())
    }

    pub(crate) fn open(&self, found: &Found) -> Content {
        Content::of_object(Object::new(self.clone(), found.clone()))
    }

    /// Objects below a name, at most so many.
    fn names(&self, under: &str, max: usize) -> Result<Vec<ObjectMeta>, Error> {
        let path = self.path(under)?;
        let listed = self.with_retries(|| {
            let (store, path) = (Arc::clone(&self.0.store), path.clone());
            async move {
                let mut found = Vec::new();
                let mut names = store.list(Some(&path));
                while let Some(meta) = names.try_next().await? {
                    found.push(meta);
                    if found.len() >= max {
                        break;
                    }
                }
                Ok(found)
            }
        });
        listed.map_err(|error| match error.fault {
            // What is listed is a bucket; nothing else can be missing.
            Fault::ObjectMissing => Error::Bucket(once(Fault::BucketMissing)),
            _ => Error::Bucket(error),
        })
    }

    fn path(&self, name: &str) -> Result<Path, Error> {
        let prefix = self.0.location.prefix();
        let parts = name.split('/').filter(|part| !matches!(*part, "" | "."));
        let whole: Vec<&str> = Some(prefix)
            .filter(|prefix| !prefix.is_empty())
            .into_iter()
            .chain(parts)
            .collect();
        Path::parse(whole.join("/")).map_err(|_| Error::Outside {
            reason: "can't be the name of an object".to_owned(),
        })
    }

    /// Begins to read a part of an object in the version that was found.
    pub(crate) fn begin(&self, found: &Found, start: u64, end: u64) -> Result<Pieces, Fault> {
        let path = self.path(&found.name).map_err(|_| Fault::ObjectMissing)?;
        let mut options = GetOptions::new().with_range(Some(GetRange::Bounded(start..end)));
        // What has no strong tag is compared with the answer alone.
        if let Some(tag) = found.version.strip_prefix(TAGGED) {
            options = options.with_if_match(Some(format!("\"{tag}\"")));
        }
        let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
        let store = Arc::clone(&self.0.store);
        let stall_timeout = self.0.limits.stall_timeout;
        let found = found.clone();
        let task = self.0.handle.spawn(async move {
            if let Err(fault) = send(&*store, &path, options, &found, &sender, stall_timeout).await
            {
                // Nobody listens any more: then nobody wants to know.
                sender.send(Err(fault)).await.ok();
            }
        });
        Ok(Pieces {
            receiver,
            task: AbortOnDrop(task.abort_handle()),
        })
    }

    /// Waits for the next piece; `None` where the answer ended.
    pub(crate) fn next(&self, pieces: &mut Pieces) -> Result<Option<Bytes>, Fault> {
        self.wait_for(pieces.receiver.recv())?.transpose()
    }

    /// Waits for a future, and notices when the job is to stop.
    fn wait_for<T>(&self, future: impl Future<Output = T>) -> Result<T, Fault> {
        let mut future = std::pin::pin!(future);
        loop {
            if (self.0.stop)() {
                return Err(Fault::Stopped);
            }
            let waiting = async { tokio::time::timeout(POLL, future.as_mut()).await };
            if let Ok(output) = self.0.handle.block_on(waiting) {
                return Ok(output);
            }
        }
    }

    /// Asks until there is an answer or no hope for one.
    fn with_retries<T: Send + 'static, F>(&self, ask: impl Fn() -> F) -> Result<T, BucketError>
    where
        F: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        let mut retries = Retries::default();
        loop {
            let task = self.0.handle.spawn(ask());
            let _aborted_when_stopped = AbortOnDrop(task.abort_handle());
            let fault = match self.wait_for(task) {
                Ok(Ok(Ok(answer))) => return Ok(answer),
                Ok(Ok(Err(error))) => Fault::of(&error, self.0.limits.stall_timeout),
                Ok(Err(panicked)) => Fault::Unusable {
                    reason: panicked.to_string(),
                },
                Err(stopped) => stopped,
            };
            retries.wait(fault, self)?;
        }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.0.location).finish()
    }
}

/// Counts failures since something was last read.
#[derive(Default)]
pub(crate) struct Retries {
    failures: u32,
}

impl Retries {
    /// Waits before another attempt.
    ///
    /// # Errors
    /// There is to be none.
    pub(crate) fn wait(&mut self, fault: Fault, bucket: &Bucket) -> Result<(), BucketError> {
        let limits = &bucket.0.limits;
        let failed = |fault, attempts| BucketError { fault, attempts };
        if !fault.may_pass() || self.failures >= limits.retries_max {
            return Err(failed(fault, self.failures.saturating_add(1)));
        }
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures += 1;
        let span = limits.retry_wait.saturating_mul(factor).min(RETRY_WAIT_MAX);
        let slept = bucket.wait_for(async move { tokio::time::sleep(span).await });
        slept.map_err(|stopped| failed(stopped, 0))
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The answer to one request, piece by piece.
pub(crate) struct Pieces {
    receiver: mpsc::Receiver<Result<Bytes, Fault>>,
    #[expect(dead_code, reason = "ends the request when dropped")]
    task: AbortOnDrop,
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn send(
    store: &dyn ObjectStore,
    path: &Path,
    options: GetOptions,
    found: &Found,
    sender: &mpsc::Sender<Result<Bytes, Fault>>,
    stall_timeout: Duration,
) -> Result<(), Fault> {
    let fault = |error| match Fault::of(&error, stall_timeout) {
        // It was there when it was found.
        Fault::ObjectMissing => Fault::Changed,
        fault => fault,
    };
    let result = store.get_opts(path, options).await.map_err(fault)?;
    let now = found_as(found.name.clone(), &result.meta);
    if now != *found {
        return Err(Fault::Changed);
    }
    let mut stream = result.into_stream();
    while let Some(mut bytes) = stream.try_next().await.map_err(fault)? {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
            if sender.send(Ok(piece)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Stands before a version that is a strong entity tag.
const TAGGED: &str = "tag ";

fn found_as(name: String, meta: &ObjectMeta) -> Found {
    // Azure lists its tags without the quotes that its answers have.
    let version = match meta.e_tag.as_deref().map(|tag| tag.trim_matches('"')) {
        Some(tag) if !tag.is_empty() && !tag.starts_with("W/") => format!("{TAGGED}{tag}"),
        // A list tells the time in milliseconds, an answer in seconds.
        _ => format!("time {}", meta.last_modified.timestamp()),
    };
    Found {
        name,
        bytes: meta.size,
        version,
    }
}

/// Consoles mark a folder by an empty object with its name.
fn is_file(found: &Found) -> bool {
    let last = found.name.rsplit('/').next().unwrap_or_default();
    !found.name.is_empty() && (found.bytes > 0 || last.contains('.'))
}

fn once(fault: Fault) -> BucketError {
    BucketError { fault, attempts: 1 }
}
