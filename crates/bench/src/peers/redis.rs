//! Owns Redis as a peer: a hash updated and its expiry set, in its own protocol.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use memchr::memchr;

use crate::data;
use crate::error::{Doing, Error};
use crate::load::pick::Pick;
use crate::load::work::{Answer, Work};

/// Seconds that an update lives, as a patch does.
const TTL_SECS: u32 = 4 * 60 * 60;
/// Answers of one write: to the update and to the expiry.
const ANSWERS: u64 = 2;

/// Updates of hashes, so many in one request.
pub(crate) struct Updates {
    pub(crate) pick: Pick,
    pub(crate) together: u64,
}

impl Work for Updates {
    fn write(&self, number: u64, out: &mut Vec<u8>) {
        for each in 0..self.together {
            let number = number * self.together + each;
            let key = data::customer_id(self.pick.at(number));
            let city = format!("Bergen {number:016x}");
            command(out, &["HSET", &key, "City", &city, "LoyaltyTier", "gold"]);
            command(out, &["EXPIRE", &key, &TTL_SECS.to_string()]);
        }
    }

    fn parse(&self, bytes: &[u8]) -> Result<Option<Answer>, Error> {
        let mut at = 0;
        let mut is_success = true;
        for _ in 0..self.together * ANSWERS {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(end) = memchr(b'\n', rest) else {
                return Ok(None);
            };
            match rest.first() {
                Some(b':' | b'+') => {}
                Some(b'-') => is_success = false,
                _ => return Err(Error::unexpected("an answer that is none of Redis'")),
            }
            at += end + 1;
        }
        Ok(Some(Answer {
            bytes: at,
            is_success,
            status: if is_success { 200 } else { 500 },
        }))
    }

    fn per_request(&self) -> u64 {
        self.together
    }
}

/// What a Redis says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) pid: u32,
    pub(crate) version: String,
    pub(crate) appendonly: String,
    pub(crate) appendfsync: String,
}

/// Asks a Redis what it is and how it syncs.
pub(crate) fn about(address: SocketAddr) -> Result<About, Error> {
    let info = ask(address, &["INFO", "server"])?;
    let field = |name: &str| {
        let found = info.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_default().trim().to_owned()
    };
    let setting = |name: &str| {
        let found = ask(address, &["CONFIG", "GET", name])?;
        // Two lines for each text: its length and itself; the second text is the value.
        Ok::<_, Error>(found.lines().nth(4).unwrap_or_default().to_owned())
    };
    Ok(About {
        pid: field("process_id:").parse().unwrap_or(0),
        version: field("redis_version:"),
        appendonly: setting("appendonly")?,
        appendfsync: setting("appendfsync")?,
    })
}

/// Makes one call and gives its answer as it came; it fits one read of a fresh connection or a few.
fn ask(address: SocketAddr, parts: &[&str]) -> Result<String, Error> {
    let doing = || format!("asking Redis at {address}");
    let mut stream = TcpStream::connect(address).doing(doing)?;
    let mut request = Vec::new();
    command(&mut request, parts);
    command(&mut request, &["QUIT"]);
    stream.write_all(&request).doing(doing)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).doing(doing)?;
    Ok(answer)
}

fn command(out: &mut Vec<u8>, parts: &[&str]) {
    out.extend_from_slice(format!("*{}\r\n", parts.len()).as_bytes());
    for part in parts {
        out.extend_from_slice(format!("${}\r\n{part}\r\n", part.len()).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_once_all_its_answers_are_there() {
        let updates = Updates {
            pick: Pick::One,
            together: 2,
        };
        let whole = b":2\r\n:1\r\n:0\r\n:1\r\n";
        for cut in 0..whole.len() {
            assert_eq!(updates.parse(&whole[..cut]).unwrap(), None, "{cut}");
        }
        let answer = updates.parse(whole).unwrap().unwrap();
        assert_eq!((answer.bytes, answer.is_success), (whole.len(), true));
        let refused = updates.parse(b":2\r\n-ERR no\r\n:0\r\n:1\r\n").unwrap();
        assert!(!refused.unwrap().is_success);
        assert!(updates.parse(b"HTTP/1.1\n").is_err());
    }

    #[test]
    fn a_request_holds_so_many_updates() {
        let updates = Updates {
            pick: Pick::Even(9),
            together: 16,
        };
        let mut out = Vec::new();
        updates.write(3, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("*6\r\n$4\r\nHSET\r\n").count(), 16);
        assert_eq!(text.matches("EXPIRE").count(), 16);
    }
}
