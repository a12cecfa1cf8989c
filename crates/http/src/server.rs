//! The front door as a whole: what it is made of, how it starts and stops.
//! Must not handle signals or read settings: the binary does.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::http::KeepAlive;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use sanntid_engine::Tenants;
use sanntid_types::{Error, ErrorCode, OpenRowFile};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;
use crate::key::AdminKey;
use crate::observe::observe;
use crate::routes;

/// Holds what the front door needs.
pub struct Front {
    pub tenants: Arc<dyn Tenants>,
    pub keys: AdminKey,
    /// Gives the metrics as Prometheus text.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Writes exports as Parquet.
    pub parquet: OpenRowFile,
    pub config: Config,
}

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) tenants: Arc<dyn Tenants>,
    pub(crate) keys: AdminKey,
    pub(crate) metrics: Arc<dyn Fn() -> String + Send + Sync>,
    pub(crate) parquet: OpenRowFile,
    pub(crate) config: Config,
    scans: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    exports: Arc<Semaphore>,
    bulks: Arc<Semaphore>,
}

impl Shared {
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
        keys: front.keys,
        metrics: front.metrics,
        parquet: front.parquet,
        scans: Arc::new(Semaphore::new(config.scans_max)),
        uploads: Arc::new(Semaphore::new(config.uploads_max)),
        exports: Arc::new(Semaphore::new(config.exports_max)),
        bulks: Arc::new(Semaphore::new(config.bulks_max)),
        config: config.clone(),
    });
    let per_worker = config.connections_max.div_ceil(config.workers);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .configure(routes::configure)
            .wrap(from_fn(observe))
    })
    .workers(config.workers)
    .max_connections(per_worker)
    .keep_alive(KeepAlive::Timeout(config.keep_alive))
    .client_request_timeout(config.head_timeout)
    .client_disconnect_timeout(config.disconnect_timeout)
    .shutdown_timeout(config.shutdown_timeout.as_secs())
    .disable_signals()
    .listen(listener)?
    .run();
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
