//! Owns the client's side of HTTP: connections, keys, bounded retries, and how errors read.
//! Must not know any route.

mod agent;

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use ureq::{Agent, SendBody, http};

use crate::config::Secret;
use crate::signals::Interrupt;

/// Where a server listens that was started without further words.
pub(crate) const URL_DEFAULT: &str = "http://127.0.0.1:8080";

const RETRIES_MAX: u32 = 5;
const RETRY_WAIT_MAX: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: u64 = 256 << 20;
const COPY_BUFFER_BYTES: usize = 64 << 10;
/// How much of an answer that is not ours is shown.
const SHOWN_CHARS_MAX: usize = 200;

/// Left as they are within one segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'(')
    .remove(b')')
    .remove(b'\'')
    .remove(b'$');

/// Says why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is no address of a server.
    #[error("{0:?} is no address of a server; expected one like {URL_DEFAULT}")]
    BadUrl(String),
    /// What is to be trusted can't be read.
    #[error("--ca: expected a PEM file of certificates")]
    BadAuthority,
    /// No connection came about.
    #[error("can't reach {url}: {reason}")]
    Unreachable { url: String, reason: String },
    /// The connection ended before an answer.
    #[error(
        "{url} gave no answer ({reason}); a write is then stored wholly or not at all, and sending \
         it again is safe"
    )]
    NoAnswer { url: String, reason: String },
    /// The server refused.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The answer is none of Sanntid's.
    #[error("{url} gave an answer that can't be read: {shown}")]
    Unreadable { url: String, shown: String },
    /// What was to be sent can't be read.
    #[error("can't read {0}")]
    File(io::Error),
    /// What was read can't be written.
    #[error("can't write: {0}")]
    Output(#[source] io::Error),
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What the server says when it refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Refusal {
    #[serde(skip)]
    pub status: u16,
    pub error_code: String,
    pub message: String,
    pub details: Vec<RefusalDetail>,
    pub request_id: Option<String>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RefusalDetail {
    pub target: Option<String>,
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.message, self.status, self.error_code)?;
        for detail in &self.details {
            let target = detail.target.as_deref().unwrap_or("-");
            write!(f, "\n  {target}: {}", detail.message)?;
        }
        Ok(())
    }
}

/// What the server answered to a call that it did not refuse.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub replayed: bool,
    /// `Null` where there is no body.
    pub body: Value,
}

/// What a request carries.
pub enum Body<'a> {
    /// Nothing.
    None,
    /// A JSON document.
    Json(&'a [u8]),
    /// JSON documents, each on a line of its own; answered in the same way.
    Lines(&'a [u8]),
    /// A file that can be opened again for another try.
    Stream(&'a dyn Stream),
}

/// A body that is read while it is sent.
pub trait Stream {
    /// Opens it from its start.
    fn open(&self) -> io::Result<Box<dyn Read + '_>>;
    /// Its length.
    fn bytes(&self) -> u64;
    /// Its `Content-Type`.
    fn content_type(&self) -> &'static str;
    /// Its `Content-Encoding`, where it has one.
    fn content_encoding(&self) -> Option<&'static str>;
}

/// Calls one server. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    base: String,
    key: Option<Secret>,
    interrupt: Interrupt,
}

impl Client {
    /// Makes a client of the server at `url`, with or without `/api` or `/v1` at its end.
    ///
    /// # Errors
    /// [`Error::BadUrl`].
    pub fn new(url: &str, key: Option<Secret>, interrupt: Interrupt) -> Result<Self, Error> {
        let bad = || Error::BadUrl(url.to_owned());
        let uri: http::Uri = url.parse().map_err(|_| bad())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.query().is_some() {
            return Err(bad());
        }
        let trimmed = url.trim_end_matches('/');
        let base = match uri.path().trim_end_matches('/') {
            path if path.ends_with("/api") || path.ends_with("/v1") => trimmed.to_owned(),
            _ => format!("{trimmed}/api"),
        };
        Ok(Self {
            agent: agent::agent(None),
            base,
            key,
            interrupt,
        })
    }

    /// The same client, which trusts the authorities of a PEM text and nobody else.
    ///
    /// # Errors
    /// [`Error::BadAuthority`].
    pub fn trusting(self, authorities: &[u8]) -> Result<Self, Error> {
        let authorities = agent::authorities(authorities).ok_or(Error::BadAuthority)?;
        Ok(Self {
            agent: agent::agent(Some(authorities)),
            ..self
        })
    }

    /// What tells that the user wants to stop.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// The same connections, under another word to stop.
    #[must_use]
    pub fn with_interrupt(&self, interrupt: Interrupt) -> Self {
        Self {
            interrupt,
            ..self.clone()
        }
    }

    /// Reads.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub fn get(&self, path: &str) -> Result<Value, Error> {
        Ok(self.call("GET", path, &Body::None)?.body)
    }

    /// Sends a JSON document.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Result<Answer, Error> {
        self.call(method, path, &Body::Json(body.to_string().as_bytes()))
    }

    /// Makes one call. A path begins with `/` and is relative to `/api`; an address is taken whole.
    /// What the server has no room for at present is tried again a few times.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn call(&self, method: &str, path: &str, body: &Body<'_>) -> Result<Answer, Error> {
        let mut tries = 0;
        loop {
            let (refusal, wait) = match self.once(method, path, body)? {
                Outcome::Answered(answer) => return Ok(answer),
                Outcome::Refused(refusal, wait) => (refusal, wait),
            };
            tries += 1;
            let Some(wait) = wait.filter(|_| tries <= RETRIES_MAX) else {
                return Err(Error::Refused(refusal));
            };
            if self.interrupt.wait(wait.min(RETRY_WAIT_MAX)) {
                return Err(Error::Interrupted);
            }
        }
    }

    /// Reads a file of any size into `out`; gives the number of bytes.
    ///
    /// # Errors
    /// Every [`Error`]; what was written then is not whole.
    pub fn download(&self, path: &str, out: &mut dyn io::Write) -> Result<u64, Error> {
        let url = format!("{}{path}", self.base);
        let mut response = self.run("GET", &url, &Body::None)?;
        let status = response.status().as_u16();
        if status != 200 {
            let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
            let bytes = body
                .read_to_vec()
                .map_err(|error| self.failed(&url, error))?;
            let refusal = serde_json::from_slice::<Refusal>(&bytes);
            let refusal = refusal.map_err(|_| unreadable(&url, &bytes))?;
            return Err(Error::Refused(Box::new(Refusal { status, ..refusal })));
        }
        let mut body = response.body_mut().as_reader();
        let mut buffer = vec![0; COPY_BUFFER_BYTES];
        let mut written = 0;
        loop {
            if self.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            let read = body.read(&mut buffer);
            let read = read.map_err(|error| self.failed(&url, ureq::Error::Io(error)))?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return Ok(written);
            };
            out.write_all(bytes).map_err(Error::Output)?;
            written += bytes.len() as u64;
        }
    }

    /// Sends lines of JSON and reads those of the answer. What the server has no room for at present
    /// is tried again a few times.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub(crate) fn exchange(
        &self,
        method: &str,
        path: &str,
        lines: &[u8],
    ) -> Result<Vec<Value>, Error> {
        // Only where nothing of it was done is the whole refused.
        self.call(method, path, &Body::Lines(lines))
            .map(|answer| match answer.body {
                Value::Array(lines) => lines,
                Value::Null => Vec::new(),
                other => vec![other],
            })
    }

    fn once(&self, method: &str, path: &str, body: &Body<'_>) -> Result<Outcome, Error> {
        if self.interrupt.is_raised() && method != "DELETE" {
            return Err(Error::Interrupted);
        }
        // Only the server itself gets the key: a link that leads elsewhere is not followed.
        let url = match path.strip_prefix('/') {
            Some(_) => format!("{}{path}", self.base),
            None if path.starts_with(self.origin()) => path.to_owned(),
            None => return Err(Error::BadUrl(path.to_owned())),
        };
        let mut response = self.run(method, &url, body)?;
        let status = response.status().as_u16();
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let replayed = header("Sanntid-Replayed").is_some_and(|value| value == "true");
        let retry_after = header("Retry-After").and_then(|text| text.parse().ok());
        let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let bytes = text
            .read_to_vec()
            .map_err(|error| self.failed(&url, error))?;
        if (200..300).contains(&status) || status == 304 {
            let body = if bytes.is_empty() {
                Value::Null
            } else if matches!(body, Body::Lines(_)) {
                let lines = serde_json::Deserializer::from_slice(&bytes).into_iter();
                let lines: Result<Vec<Value>, _> = lines.collect();
                Value::Array(lines.map_err(|_| unreadable(&url, &bytes))?)
            } else {
                serde_json::from_slice(&bytes).map_err(|_| unreadable(&url, &bytes))?
            };
            return Ok(Outcome::Answered(Answer {
                status,
                replayed,
                body,
            }));
        }
        let Ok(refusal) = serde_json::from_slice::<Refusal>(&bytes) else {
            let shown = format!("status {status}: {}", shown(&bytes));
            return Err(Error::Unreadable { url, shown });
        };
        let refusal = Box::new(Refusal { status, ..refusal });
        let wait =
            matches!(status, 429 | 503).then(|| Duration::from_secs(retry_after.unwrap_or(1)));
        Ok(Outcome::Refused(refusal, wait))
    }

    fn run(
        &self,
        method: &str,
        url: &str,
        body: &Body<'_>,
    ) -> Result<http::Response<ureq::Body>, Error> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(url)
            .header("accept", "application/json");
        if let Some(key) = &self.key {
            request = request.header("Ocp-Apim-Subscription-Key", key.expose());
        }
        let bad = |_| Error::BadUrl(url.to_owned());
        let result = match body {
            Body::None => self.agent.run(request.body(()).map_err(bad)?),
            Body::Json(document) => {
                let request = request.header("content-type", "application/json");
                self.agent.run(request.body(*document).map_err(bad)?)
            }
            Body::Lines(lines) => {
                let request = request.header("content-type", "application/x-ndjson");
                self.agent.run(request.body(*lines).map_err(bad)?)
            }
            Body::Stream(stream) => {
                let mut reader = stream.open().map_err(Error::File)?;
                request = request
                    .header("content-type", stream.content_type())
                    .header("content-length", stream.bytes());
                if let Some(encoding) = stream.content_encoding() {
                    request = request.header("content-encoding", encoding);
                }
                let body = SendBody::from_reader(&mut reader);
                self.agent.run(request.body(body).map_err(bad)?)
            }
        };
        result.map_err(|error| self.failed(url, error))
    }

    fn failed(&self, url: &str, error: ureq::Error) -> Error {
        if self.interrupt.is_raised() {
            return Error::Interrupted;
        }
        let url = self.origin_of(url);
        let reason = match &error {
            ureq::Error::Io(error) => error.to_string(),
            other => other.to_string(),
        };
        let connecting = match &error {
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Tls(_)
            | ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => true,
            ureq::Error::Io(error) => {
                error.kind() == io::ErrorKind::ConnectionRefused
                    || reason.starts_with("invalid peer certificate")
            }
            _ => false,
        };
        if connecting {
            Error::Unreachable { url, reason }
        } else {
            Error::NoAnswer { url, reason }
        }
    }

    fn origin(&self) -> &str {
        let path_at = self
            .base
            .find("://")
            .and_then(|at| Some(at + 3 + self.base.get(at + 3..)?.find('/')? + 1));
        path_at
            .and_then(|at| self.base.get(..at))
            .unwrap_or(&self.base)
    }

    fn origin_of(&self, url: &str) -> String {
        let origin = self.origin();
        let shown = if url.starts_with(origin) { origin } else { url };
        shown.trim_end_matches('/').to_owned()
    }
}

enum Outcome {
    Answered(Answer),
    /// With how long to wait, where another try can help.
    Refused(Box<Refusal>, Option<Duration>),
}

/// Encodes one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Encodes options as a query with its `?`; nothing where there are none.
pub(crate) fn query(options: &[(&str, &str)]) -> String {
    let mut query = String::new();
    for (name, value) in options {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(&segment(name));
        query.push('=');
        query.push_str(&segment(value));
    }
    query
}

fn unreadable(url: &str, bytes: &[u8]) -> Error {
    Error::Unreadable {
        url: url.to_owned(),
        shown: shown(bytes),
    }
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    if text.is_empty() {
        return "nothing".to_owned();
    }
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
