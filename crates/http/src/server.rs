//! The front door as a whole: what it is made of, how it starts and stops.
//! Must not handle signals or read settings: the binary does.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::middleware::from_fn;
use actix_web::{App, web};
use sanntid_engine::{Access, Audit, CallError, Tenants, Tokens};
use sanntid_types::{Clock, Error, ErrorCode, InstanceAccess, InstanceId, Limits, OpenRowFile};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;
use crate::key::AdminKey;
use crate::limits::Limiter;
use crate::listen::listen;
use crate::observe::observe;
use crate::routes;
use crate::tls::Tls;

/// Holds what the front door needs.
pub struct Front {
    pub tenants: Arc<dyn Tenants>,
    pub access: Arc<dyn Access>,
    pub audit: Arc<dyn Audit>,
    pub keys: AdminKey,
    /// Tells whose a token is; without it none is taken.
    pub tokens: Option<Arc<dyn Tokens>>,
    /// Gives the metrics as Prometheus text.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Writes exports as Parquet.
    pub parquet: OpenRowFile,
    /// With it nothing is spoken but TLS.
    pub tls: Option<Tls>,
    /// What limits are counted by.
    pub clock: Arc<dyn Clock>,
    /// What instances and callers may use, but where an instance has limits of its own.
    pub limits: Limits,
    pub config: Config,
}

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) tenants: Arc<dyn Tenants>,
    pub(crate) access: Arc<dyn Access>,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) keys: AdminKey,
    pub(crate) tokens: Option<Arc<dyn Tokens>>,
    pub(crate) metrics: Arc<dyn Fn() -> String + Send + Sync>,
    pub(crate) parquet: OpenRowFile,
    pub(crate) config: Config,
    pub(crate) limits: Limiter,
    scans: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    exports: Arc<Semaphore>,
    bulks: Arc<Semaphore>,
}

impl Shared {
    /// Finds who may do what in an instance; `None` where there is none.
    pub(crate) fn access_of(
        &self,
        instance: InstanceId,
    ) -> Result<Option<Arc<InstanceAccess>>, CallError> {
        self.access.access(instance)
    }

    /// Takes one of the places for reads that may scan.
    pub(crate) fn scan(&self) -> Result<OwnedSemaphorePermit, Error> {
        take(&self.scans, "scansInFlight")
    }

    /// Takes one of the places for uploads of parts.
    pub(crate) fn upload(&self) -> Result<OwnedSemaphorePermit, Error> {
        take(&self.uploads, "uploadsInFlight")
    }

    /// Takes one of the places for exports.
    pub(crate) fn export(&self) -> Result<OwnedSemaphorePermit, Error> {
        take(&self.exports, "exportsInFlight")
    }

    /// Takes one of the places for requests that bring many writes.
    pub(crate) fn bulk(&self) -> Result<OwnedSemaphorePermit, Error> {
        take(&self.bulks, "bulksInFlight")
    }
}

fn take(places: &Arc<Semaphore>, limit: &'static str) -> Result<OwnedSemaphorePermit, Error> {
    Arc::clone(places).try_acquire_owned().map_err(|_| {
        let text = format!("too many at the same time: the limit {limit} is met");
        Error::new(ErrorCode::Overloaded, text).with_target(limit)
    })
}

/// Starts the front door on a bound socket. It runs as long as the [`Server`] is polled.
///
/// # Errors
/// An invalid config, or a socket that can't be listened on.
pub fn serve(listener: TcpListener, front: Front) -> io::Result<Server> {
    let config = front.config;
    config
        .validate()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let shared = web::Data::new(Shared {
        tenants: front.tenants,
        access: front.access,
        audit: front.audit,
        keys: front.keys,
        tokens: front.tokens,
        metrics: front.metrics,
        parquet: front.parquet,
        scans: Arc::new(Semaphore::new(config.scans_max)),
        uploads: Arc::new(Semaphore::new(config.uploads_max)),
        exports: Arc::new(Semaphore::new(config.exports_max)),
        bulks: Arc::new(Semaphore::new(config.bulks_max)),
        limits: Limiter::new(front.limits, front.clock),
        config: config.clone(),
    });
    let application = move || {
        App::new()
            .app_data(shared.clone())
            .configure(routes::configure)
            .wrap(from_fn(observe))
    };
    let server = listen(listener, &config, front.tls.as_ref(), application)?;
    Ok(Server(server))
}

/// A running front door; ends when it is stopped.
#[must_use = "a server runs only while it is polled"]
pub struct Server(actix_web::dev::Server);

impl Server {
    /// Gives the means to stop it from elsewhere.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.0.handle())
    }
}

impl Future for Server {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Stops a front door.
#[derive(Clone, Debug)]
pub struct Stopper(actix_web::dev::ServerHandle);

impl Stopper {
    /// Takes no more connections, and ends. Where `graceful`, requests that are under way may end
    /// first, for at most `shutdown_timeout`.
    pub async fn stop(&self, graceful: bool) {
        self.0.stop(graceful).await;
    }
}
