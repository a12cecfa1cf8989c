//! Owns HTTP/1.1 as far as a measuring client needs it: requests as bytes, heads of answers, one
//! blocking connection. Must not parse more than it needs: its cost is in every figure.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use memchr::memmem;

use crate::error::{Doing, Error};

/// Longest head of an answer.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How long an answer may take.
const SILENCE_MAX: Duration = Duration::from_secs(120);
const READ_BYTES: usize = 16 << 10;

/// What stands at the front of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) bytes: usize,
    pub(crate) body_bytes: usize,
}

impl Head {
    /// Whether the request was done.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Appends a request. `headers` are whole lines, each with its end.
pub(crate) fn write_request(
    out: &mut Vec<u8>,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) {
    for part in [method, " ", path, " HTTP/1.1\r\nHost: bench\r\n", headers] {
        out.extend_from_slice(part.as_bytes());
    }
    if !body.is_empty() {
        let length = body.len();
        let line = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
        out.extend_from_slice(line.as_bytes());
    } else if method != "GET" {
        out.extend_from_slice(b"Content-Length: 0\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

/// Reads the head of an answer; `None` while it has not arrived wholly.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Option<Head>, Error> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        if bytes.len() > HEAD_BYTES_MAX {
            return Err(Error::unexpected("an answer's head does not end"));
        }
        return Ok(None);
    };
    let head = bytes.get(..end).unwrap_or_default();
    let no_http = || Error::unexpected("an answer that is no HTTP/1.1");
    let head = std::str::from_utf8(head).map_err(|_| no_http())?;
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse::<u16>().ok())
        .ok_or_else(no_http)?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok())?
    });
    let body_bytes = match length {
        Some(length) => length,
        None if matches!(status, 204 | 304) => 0,
        None => return Err(Error::unexpected("an answer without Content-Length")),
    };
    Ok(Some(Head {
        status,
        bytes: end + 4,
        body_bytes,
    }))
}

/// One connection that waits for each answer.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(address: SocketAddr) -> Result<Self, Error> {
        let doing = || format!("connecting to {address}");
        let stream = TcpStream::connect(address).doing(doing)?;
        stream.set_nodelay(true).doing(doing)?;
        stream.set_read_timeout(Some(SILENCE_MAX)).doing(doing)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(READ_BYTES),
        })
    }

    /// Sends a request and takes the whole answer; gives its status and body.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<(Head, &[u8]), Error> {
        let doing = || "sending a request".to_owned();
        self.stream.write_all(request).doing(doing)?;
        self.buffer.clear();
        loop {
            if let Some(head) = parse_head(&self.buffer)? {
                let end = head.bytes + head.body_bytes;
                while self.buffer.len() < end {
                    self.read_some()?;
                }
                return match self.buffer.get(head.bytes..) {
                    Some(body) if self.buffer.len() == end => Ok((head, body)),
                    _ => Err(Error::unexpected("more bytes than the answer has")),
                };
            }
            self.read_some()?;
        }
    }

    fn read_some(&mut self) -> Result<(), Error> {
        let mut some = [0; READ_BYTES];
        let read = self.stream.read(&mut some);
        let read = read.doing(|| "waiting for an answer".to_owned())?;
        let bytes = some.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Err(Error::unexpected("the connection closed without an answer"));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 12\r\nx: y\r\n\r\nhello";
        let head = Head {
            status: 200,
            bytes: whole.len() - 5,
            body_bytes: 12,
        };
        assert_eq!(parse_head(whole).unwrap(), Some(head));
        for cut in 0..whole.len() - 5 {
            assert_eq!(parse_head(&whole[..cut]).unwrap(), None, "{cut}");
        }
        let empty = parse_head(b"HTTP/1.1 204 No Content\r\n\r\n")
            .unwrap()
            .unwrap();
        assert_eq!((empty.status, empty.body_bytes), (204, 0));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for bad in [
            &b"SSH-2.0\r\n\r\n"[..],
            b"HTTP/1.1 2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            &[b'a'; HEAD_BYTES_MAX + 1],
        ] {
            assert!(parse_head(bad).is_err());
        }
    }

    #[test]
    fn a_request_says_how_long_its_body_is() {
        let of = |method, body: &[u8]| {
            let mut out = Vec::new();
            write_request(&mut out, method, "/a", "K: v\r\n", body);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            of("GET", b""),
            "GET /a HTTP/1.1\r\nHost: bench\r\nK: v\r\n\r\n"
        );
        assert!(of("POST", b"").contains("Content-Length: 0\r\n\r\n"));
        assert!(of("PATCH", b"{}").ends_with("Content-Length: 2\r\n\r\n{}"));
    }
}
