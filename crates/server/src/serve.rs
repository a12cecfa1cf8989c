//! Owns the life of the server: start in order, serve, stop in order within ten seconds.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use futures_util::future::{Either, select};
use sanntid_types::Clock;

use crate::clock::SystemClock;
use crate::config::Config;
use crate::metrics::{Recorder, UPKEEP_EVERY};
use crate::tls::Certificate;
use crate::wiring::{self, Stack};
use crate::{admin_key, signals};

/// How long stopping may take in all.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Runs the server until SIGINT or SIGTERM; `ready` hears the address once it accepts.
///
/// # Errors
/// Whatever keeps the server from starting, in words for the one who starts it.
pub fn run(config: &Config, ready: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
    let stop = signals::stop_asked(STOP_MAX)?;
    run_until(config, stop, ready)
}

/// Runs the server until `stop` is done. It blocks its thread and brings a runtime of its own.
///
/// # Errors
/// As for [`run`].
pub fn run_until(
    config: &Config,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(SocketAddr),
) -> anyhow::Result<()> {
    run_with_clock(config, Arc::new(SystemClock::new()), stop, ready)
}

/// Runs the server until `stop` is done, by another clock than the system's.
///
/// # Errors
/// As for [`run`].
pub fn run_with_clock(
    config: &Config,
    clock: Arc<dyn Clock>,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(SocketAddr),
) -> anyhow::Result<()> {
    config.validate()?;
    let recorder = Recorder::install()?;
    actix_rt::System::new().block_on(serve(config, clock, recorder, Box::pin(stop), ready))
}

async fn serve(
    config: &Config,
    clock: Arc<dyn Clock>,
    recorder: Recorder,
    stop: impl Future<Output = ()> + Unpin,
    ready: impl FnOnce(SocketAddr),
) -> anyhow::Result<()> {
    tracing::info!(?config, "effective configuration");
    let stack = Stack::open(config, clock)?;
    // The store's lock is held by now: nobody else makes a key in this folder.
    let key = admin_key::obtain(&config.data_dir, config.admin_key.as_ref())?;
    let certificate = Certificate::open(&config.tls)?;
    let tls = certificate.as_ref().map(Certificate::tls);
    let listener = listen(config.listen)?;
    let address = listener.local_addr().context("no address")?;
    let server = stack.serve(listener, config, tls, &key, recorder.clone());
    let server = server.context("the front door can't be opened")?;
    let stopper = server.stopper();
    let server = actix_rt::spawn(server);
    let upkeep = actix_rt::spawn(fold_metrics(recorder));
    let watch = certificate.map(|certificate| actix_rt::spawn(certificate.watch()));
    ready(address);
    tracing::info!(%address, "serving");

    let ended = match select(server, stop).await {
        Either::Left((ended, _)) => Some(ended),
        Either::Right(((), server)) => {
            tracing::info!("stopping");
            wiring::stop_front(&stopper).await;
            server.abort();
            None
        }
    };
    upkeep.abort();
    if let Some(watch) = watch {
        watch.abort();
    }
    stack.stop().await?;
    match ended {
        None => {
            tracing::info!("stopped");
            Ok(())
        }
        Some(Ok(Err(error))) => Err(error).context("the front door has ended"),
        Some(Ok(Ok(())) | Err(_)) => Err(anyhow!("the front door has ended")),
    }
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!("{address} is in use by another program"),
        _ => anyhow!("can't listen on {address}: {error}"),
    })
}

async fn fold_metrics(recorder: Recorder) {
    let mut every = tokio::time::interval(UPKEEP_EVERY);
    loop {
        every.tick().await;
        recorder.fold();
    }
}
