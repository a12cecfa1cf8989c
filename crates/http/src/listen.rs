//! The way from a socket to the application: who may connect, TLS, and which HTTP is spoken.
//! Must not know what is served.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Protocol, Request, Response};
use actix_rt::net::TcpStream;
use actix_server::Server;
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _};
use actix_service::{fn_service, map_config};
use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::AppConfig;
use tokio_rustls::TlsAcceptor;

use crate::config::Config;
use crate::connection::{Connection, Patience};
use crate::places::Places;
use crate::tls::Tls;

/// What HTTP/2 without TLS begins with; as much of it as tells it from HTTP/1.
const HTTP2_PREFACE: &[u8; 12] = b"PRI * HTTP/2";
/// Connections of one address where others than this machine can connect, unless told otherwise.
const OF_ADDRESS_MAX_DEFAULT: usize = 1000;

/// Serves an application on a bound socket.
pub(crate) fn listen<F, I, S, B>(
    listener: TcpListener,
    config: &Config,
    tls: Option<&Tls>,
    application: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let door = Door::new(listener.local_addr()?, config, tls);
    let builder = Server::build()
        .workers(config.workers)
        .max_concurrent_connections(config.connections_max.div_ceil(config.workers))
        .shutdown_timeout(config.shutdown_timeout.as_secs())
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let timeouts = (
        KeepAlive::Timeout(config.keep_alive),
        config.head_timeout,
        config.disconnect_timeout,
    );
    let builder = builder.listen("http", listener, move || {
        let (keep_alive, head, disconnect) = timeouts;
        let (door, stopping) = (door.clone(), stopping.clone());
        let application = application().into_factory();
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(keep_alive)
            .client_request_timeout(head)
            .client_disconnect_timeout(disconnect)
            .on_connect_ext(|connection: &Connection, data| {
                data.insert(connection.line());
            })
            .finish(map_config(
                application.map_err(|error| error.into().error_response()),
                |()| AppConfig::default(),
            ));
        fn_service(move |stream| {
            let door = door.clone();
            async move { door.open(stream).await.map_err(DispatchError::from) }
        })
        .and_then(http)
    })?;
    Ok(builder.run())
}

/// What stands before each connection.
#[derive(Clone)]
struct Door {
    places: Places,
    tls: Option<TlsAcceptor>,
    head_timeout: Duration,
    patience: Patience,
}

impl Door {
    fn new(address: SocketAddr, config: &Config, tls: Option<&Tls>) -> Self {
        // On this machine one address is a proxy that speaks for everybody.
        let of_address_max = match config.connections_per_address_max {
            Some(max) => max,
            None if address.ip().is_loopback() => 0,
            None => OF_ADDRESS_MAX_DEFAULT,
        };
        Self {
            places: Places::new(of_address_max),
            tls: tls.map(|tls| TlsAcceptor::from(tls.config())),
            head_timeout: config.head_timeout,
            patience: Patience {
                stalled: config.answer_stall_timeout,
                idle: config.keep_alive + config.head_timeout,
            },
        }
    }

    /// Lets a connection in, or ends it.
    async fn open(
        &self,
        stream: TcpStream,
    ) -> io::Result<(Connection, Protocol, Option<SocketAddr>)> {
        let peer = stream.peer_addr()?;
        let Some(place) = self.places.take(peer.ip()) else {
            metrics::counter!("sanntid_http_connections_refused_total").increment(1);
            tracing::debug!(address = %peer.ip(), "connection refused: the address has too many");
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        stream.set_nodelay(true)?;
        let patience = self.patience;
        let opened = async {
            match &self.tls {
                Some(tls) => {
                    let stream = tls.accept(stream).await?;
                    let is_2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    Ok((Connection::tls(stream, patience, place), is_2))
                }
                None => {
                    let mut first = [0; HTTP2_PREFACE.len()];
                    stream.peek(&mut first).await?;
                    let is_2 = first == *HTTP2_PREFACE;
                    Ok((Connection::plain(stream, patience, place), is_2))
                }
            }
        };
        // The head's own time begins behind this.
        let opened: io::Result<_> = tokio::time::timeout(self.head_timeout, opened).await?;
        let (connection, is_2) = opened.inspect_err(|error| {
            tracing::debug!(%error, "no connection came about");
        })?;
        let protocol = if is_2 {
            Protocol::Http2
        } else {
            Protocol::Http1
        };
        Ok((connection, protocol, Some(peer)))
    }
}
