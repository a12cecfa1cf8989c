//! One connection: its bytes, plain or through TLS, and what its requests share.
//! Owns the end of a connection whose client takes nothing, or asks for nothing. Must not read what
//! it carries.

use std::cell::Cell;
use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_rt::net::TcpStream;
use actix_web::HttpRequest;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

use crate::places::Place;

/// Carries the bytes of one connection.
pub(crate) struct Connection {
    stream: Stream,
    line: Line,
    patience: Patience,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Runs while no request is under way, also where a head comes byte by byte.
    idle: Option<Pin<Box<Sleep>>>,
    /// Given back with the connection.
    _place: Place,
}

/// How long a client is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// While it takes nothing of its answer.
    pub(crate) stalled: Duration,
    /// Between an answer and the end of the next request's head. With HTTP/2 pings count as answers.
    pub(crate) idle: Duration,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    pub(crate) fn plain(stream: TcpStream, patience: Patience, place: Place) -> Self {
        let local = stream.local_addr().ok();
        Self::new(Stream::Plain(stream), local, patience, place)
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>, patience: Patience, place: Place) -> Self {
        let local = stream.get_ref().0.local_addr().ok();
        Self::new(Stream::Tls(Box::new(stream)), local, patience, place)
    }

    fn new(stream: Stream, local: Option<SocketAddr>, patience: Patience, place: Place) -> Self {
        let line = Line {
            is_tls: matches!(stream, Stream::Tls(_)),
            local,
            open: Rc::default(),
        };
        Self {
            stream,
            line,
            patience,
            stalled: None,
            idle: None,
            _place: place,
        }
    }

    /// What the requests of this connection share.
    pub(crate) fn line(&self) -> Line {
        self.line.clone()
    }

    /// Gives up once the client has taken nothing for too long.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            (self.stalled, self.idle) = (None, None);
            // From now on it is waited, whether the next is read for at once or not.
            self.is_idle_for_too_long(context);
            return written;
        }
        let timeout = self.patience.stalled;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        stalled.as_mut().poll(context).map(|()| {
            let text = "the client takes nothing of its answer";
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        })
    }

    /// Runs the time in which there must be another request.
    fn is_idle_for_too_long(&mut self, context: &mut Context<'_>) -> bool {
        if self.line.open.get() > 0 {
            self.idle = None;
            return false;
        }
        let timeout = self.patience.idle;
        let idle = self
            .idle
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        idle.as_mut().poll(context).is_ready()
    }

    fn bytes(&mut self) -> Pin<&mut dyn Bytes> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream),
            Stream::Tls(stream) => Pin::new(stream.as_mut()),
        }
    }
}

trait Bytes: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Bytes for T {}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.bytes().poll_read(context, buffer);
        if read.is_pending() && self.is_idle_for_too_long(context) {
            let text = "the client asks for nothing";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.bytes().poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.bytes().poll_write_vectored(context, slices);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.bytes().poll_flush(context);
        self.watch(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bytes().poll_shutdown(context)
    }
}

/// What the requests of one connection share.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    is_tls: bool,
    local: Option<SocketAddr>,
    /// Requests that have no answer yet, or whose answer is still being made.
    open: Rc<Cell<usize>>,
}

impl Line {
    /// The connection that a request came on; a test may have made it without one.
    pub(crate) fn of(request: &HttpRequest) -> Option<&Self> {
        request.conn_data::<Self>()
    }

    /// Whether nobody else can read what goes over it.
    pub(crate) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The address that the client called.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Begins another request; `None` where as many are open as may be.
    pub(crate) fn begin(&self, open_max: usize) -> Option<Open> {
        let open = self.open.get();
        if open >= open_max {
            return None;
        }
        self.open.set(open + 1);
        Some(Open(Rc::clone(&self.open)))
    }
}

/// Counts one request of a connection until it is dropped.
#[derive(Debug)]
pub(crate) struct Open(Rc<Cell<usize>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// The body of an answer that is made while it is sent: its request is under way until it ends.
struct Held {
    body: BoxBody,
    _open: Open,
}

impl MessageBody for Held {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<bytes::Bytes, Self::Error>>> {
        self.body.as_pin_mut().poll_next(context)
    }
}

/// Keeps a request under way as long as its answer is made.
pub(crate) fn hold(body: BoxBody, open: Option<Open>) -> BoxBody {
    match (body.size(), open) {
        (BodySize::Stream, Some(open)) => BoxBody::new(Held { body, _open: open }),
        _ => body,
    }
}
