//! A small HTTP client over a plain socket: what stands on the wire is what tests look at.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The key that the tests' servers know.
pub(crate) const KEY: &str = "the-key";
/// The instance that the mock has.
pub(crate) const INSTANCE: &str = "5f0c8e0e-6d0a-4d3c-9f0e-2b8a51d1c001";

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter();
        all.find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error}: {:?}", String::from_utf8_lossy(&self.body));
        })
    }

    /// The `errorCode` of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["errorCode"]
            .as_str()
            .expect("errorCode")
            .to_owned()
    }
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    head: String,
    key: bool,
    body: Option<Vec<u8>>,
    chunked: bool,
}

impl Call {
    /// Begins a request with the key in its header.
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self {
            head: format!("{method} {path} HTTP/1.1\r\nHost: test.example\r\n"),
            key: true,
            body: None,
            chunked: false,
        }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn without_key(mut self) -> Self {
        self.key = false;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// Sends these bytes, with no content type.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(crate) fn json(self, value: &serde_json::Value) -> Self {
        self.header("Content-Type", "application/json")
            .body(value.to_string())
    }

    /// Sends the body without saying how long it is.
    pub(crate) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone().into_bytes();
        bytes.extend_from_slice(b"Connection: close\r\n");
        if self.key {
            bytes.extend(format!("Ocp-Apim-Subscription-Key: {KEY}\r\n").into_bytes());
        }
        match &self.body {
            Some(body) if self.chunked => {
                bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in body.chunks(60_000) {
                    bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
            Some(body) => {
                bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
                bytes.extend_from_slice(body);
            }
            None => bytes.extend_from_slice(b"\r\n"),
        }
        bytes
    }

    /// Sends it and waits for the answer.
    pub(crate) fn send(&self, address: SocketAddr) -> Answer {
        let bytes = self.exchange(address);
        parse(&bytes)
    }

    /// Sends it and gives what came back until the connection was closed.
    pub(crate) fn exchange(&self, address: SocketAddr) -> Vec<u8> {
        let mut stream = connect(address);
        let request = self.bytes();
        // A server that has seen enough may answer and close before all is written.
        let written = stream.write_all(&request);
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        if answer.is_empty() && (written.is_err() || read.is_err()) {
            return answer;
        }
        answer
    }
}

/// Opens a connection that gives up at some time.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    let patience = Some(Duration::from_secs(30));
    stream.set_read_timeout(patience).expect("socket option");
    stream.set_write_timeout(patience).expect("socket option");
    stream
}

/// Reads an answer with a content length, or without a body.
pub(crate) fn parse(bytes: &[u8]) -> Answer {
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
    let head = std::str::from_utf8(&bytes[..end]).expect("a head");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers = lines.filter_map(|line| line.split_once(": "));
    Answer {
        status: status.and_then(|text| text.parse().ok()).expect("a status"),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: bytes[end + 4..].to_vec(),
    }
}
