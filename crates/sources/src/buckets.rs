//! Owns how buckets are opened, and the thread that waits for the network.
//!
//! The library that speaks the services' protocols is asynchronous, and those who read rows are not:
//! a runtime of this crate's own, with one thread, is between them. It is not the actors' runtime,
//! because there TLS and copying would take time from writes; and it goes on reading ahead while
//! rows are parsed.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use object_store::ObjectStore;
use sanntid_types::BucketLocation;
use tokio::runtime::{Builder, Runtime};

use crate::Error;
use crate::bucket::{Bucket, Shared};
use crate::bucket_error::{BucketError, Fault};
use crate::bucket_secret::BucketSecret;
use crate::place::Place;

/// Says whether whoever reads was told to stop.
pub type StopCheck = Arc<dyn Fn() -> bool + Send + Sync>;

/// Says how long a bucket is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketLimits {
    /// For a connection.
    pub connect_timeout: Duration,
    /// For the next bytes of an answer.
    pub stall_timeout: Duration,
    /// How often it is tried again without any bytes in between.
    pub retries_max: u32,
    /// Before the first such attempt; doubled at each, up to 30 s.
    pub retry_wait: Duration,
}

/// Opens buckets. Starts its thread with the first and ends it when dropped.
pub struct Buckets {
    limits: BucketLimits,
    runtime: OnceLock<Option<Runtime>>,
}

impl Buckets {
    /// Starts nothing yet.
    pub fn new(limits: BucketLimits) -> Self {
        Self {
            limits,
            runtime: OnceLock::new(),
        }
    }

    /// Checks that a bucket could be opened; calls nobody.
    ///
    /// # Errors
    /// Says what of the secret can't be used.
    pub fn check(&self, location: &BucketLocation, secret: &BucketSecret) -> Result<(), Error> {
        self.client(location, secret).map(drop)
    }

    /// Takes a bucket as a place to read from; calls nobody yet. Whoever reads blocks; not to be
    /// called, nor to be read from, on a thread of an asynchronous runtime.
    ///
    /// # Errors
    /// As [`Self::check`], or no thread can be started.
    pub fn open(
        &self,
        location: &BucketLocation,
        secret: &BucketSecret,
        stop: StopCheck,
    ) -> Result<Place, Error> {
        let store = self.client(location, secret)?;
        let runtime = self.runtime.get_or_init(|| {
            Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("sanntid-buckets")
                .enable_all()
                .build()
                .ok()
        });
        let no_thread = || Error::Io(io::Error::other("no thread can be started"));
        let handle = runtime.as_ref().ok_or_else(no_thread)?.handle().clone();
        Ok(Place::Bucket(Bucket(Arc::new(Shared {
            store,
            handle,
            location: location.clone(),
            limits: self.limits,
            stop,
        }))))
    }

    fn client(
        &self,
        location: &BucketLocation,
        secret: &BucketSecret,
    ) -> Result<Arc<dyn ObjectStore>, Error> {
        let limits = self.limits;
        let client = secret.client(location, limits.connect_timeout, limits.stall_timeout);
        client.map_err(|reason| {
            Error::Bucket(BucketError {
                fault: Fault::Unusable { reason },
                attempts: 1,
            })
        })
    }
}

impl Drop for Buckets {
    fn drop(&mut self) {
        // A runtime that ends by itself would wait, which an asynchronous thread must not.
        if let Some(runtime) = self.runtime.take().flatten() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
