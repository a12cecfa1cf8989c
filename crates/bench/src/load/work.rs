//! Owns the requests: the n-th is always the same. Writing one must cost little, for the client's
//! cost is in every figure.

use std::sync::Arc;

use super::pick::Pick;
use crate::api::Api;
use crate::data::{self, mixed};
use crate::error::Error;
use crate::http::{parse_head, write_request};

/// One whole answer at the front of what has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) bytes: usize,
    pub(crate) is_success: bool,
    /// As the protocol names it.
    pub(crate) status: u16,
}

/// Says what is sent and how an answer is recognized.
pub(crate) trait Work: Send + Sync {
    /// Appends the n-th request.
    fn write(&self, number: u64, out: &mut Vec<u8>);

    /// Finds the answer; `None` while it has not arrived wholly.
    fn parse(&self, bytes: &[u8]) -> Result<Option<Answer>, Error> {
        let Some(head) = parse_head(bytes)? else {
            return Ok(None);
        };
        let whole = head.bytes + head.body_bytes;
        Ok((bytes.len() >= whole).then_some(Answer {
            bytes: whole,
            is_success: head.is_success(),
            status: head.status,
        }))
    }

    /// How many writes or reads one request is.
    fn per_request(&self) -> u64 {
        1
    }
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Patch,
    Activity,
    Read,
    /// Of ten requests five are patches, two activities, three reads.
    Mixed,
}

/// Requests to instances that hold the data set.
#[derive(Clone)]
pub(crate) struct Requests {
    kind: Kind,
    pick: Pick,
    headers: String,
    instances: Arc<Vec<String>>,
    /// Tells the requests of one measurement from those of another; not where it is zero.
    mask: u64,
}

impl Requests {
    /// Requests for customers that `pick` picks, of all the instances in turn.
    pub(crate) fn new(api: &Api, kind: Kind, pick: Pick, instances: &[String], salt: u64) -> Self {
        Self {
            kind,
            pick,
            headers: api.headers(),
            instances: Arc::new(instances.to_vec()),
            mask: if salt == 0 { 0 } else { mixed(salt) },
        }
    }

    fn instance(&self, number: u64) -> &str {
        let count = self.instances.len().max(1) as u64;
        let index = usize::try_from(number % count).unwrap_or(0);
        self.instances.get(index).map_or("", String::as_str)
    }
}

impl Work for Requests {
    fn write(&self, number: u64, out: &mut Vec<u8>) {
        let number = number ^ self.mask;
        let customer = data::customer_id(self.pick.at(number));
        let instance = self.instance(number);
        let kind = match (self.kind, mixed(number ^ 7) % 10) {
            (Kind::Mixed, 0..5) => Kind::Patch,
            (Kind::Mixed, 5..7) => Kind::Activity,
            (Kind::Mixed, _) => Kind::Read,
            (kind, _) => kind,
        };
        match kind {
            Kind::Patch | Kind::Mixed => {
                let path = format!("/api/instances/{instance}/data/Customer/{customer}");
                write_request(
                    out,
                    "PATCH",
                    &path,
                    &self.headers,
                    patch_body(number).as_bytes(),
                );
            }
            Kind::Activity => {
                let path = format!("/api/instances/{instance}/data/UnifiedActivity");
                let body = activity_body(number, &customer);
                write_request(out, "POST", &path, &self.headers, body.as_bytes());
            }
            Kind::Read => {
                let path = format!("/api/instances/{instance}/data/Customer/{customer}");
                write_request(out, "GET", &path, &self.headers, b"");
            }
        }
    }
}

/// Changes two fields of a customer.
pub(crate) fn patch_body(number: u64) -> String {
    format!("{{\"City\":\"Bergen {number:016x}\",\"LoyaltyTier\":\"gold\"}}")
}

/// A visit of a customer; its id is that of the request.
pub(crate) fn activity_body(number: u64, customer: &str) -> String {
    let day = 1 + number % 28;
    let hour = (number >> 8) % 24;
    format!(
        "{{\"ActivityId\":\"A{:016x}\",\"CustomerId\":\"{customer}\",\
         \"ActivityTime\":\"2026-01-{day:02}T{hour:02}:00:00Z\",\"ActivityType\":\"Visit\",\
         \"Title\":\"Visited the store\"}}",
        mixed(number)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(kind: Kind) -> Requests {
        let api = Api::new(([127, 0, 0, 1], 1).into(), "k");
        let instances = ["a".to_owned(), "b".to_owned()];
        Requests::new(&api, kind, Pick::Even(10), &instances, 1)
    }

    fn text(requests: &Requests, number: u64) -> String {
        let mut out = Vec::new();
        requests.write(number, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn requests_are_the_same_again_and_a_mixture_holds_all_kinds() {
        let mixed = requests(Kind::Mixed);
        let mut counts = [0; 3];
        for number in 0..10_000 {
            let request = text(&mixed, number);
            assert_eq!(request, text(&mixed, number));
            let kinds = ["PATCH ", "POST ", "GET "];
            let kind = kinds.iter().position(|kind| request.starts_with(kind));
            counts[kind.unwrap()] += 1;
        }
        assert!((4_800..5_200).contains(&counts[0]), "{counts:?}");
        assert!((1_800..2_200).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn bodies_are_json() {
        for number in [0, 1, u64::MAX] {
            for body in [patch_body(number), activity_body(number, "c")] {
                let value: serde_json::Value = serde_json::from_str(&body).unwrap();
                assert!(value.is_object());
            }
        }
    }

    #[test]
    fn an_answer_counts_once_it_is_whole() {
        let work = requests(Kind::Read);
        let bytes = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}";
        let answer = work.parse(bytes).unwrap().unwrap();
        assert_eq!((answer.bytes, answer.is_success), (bytes.len(), false));
        assert_eq!(work.parse(&bytes[..bytes.len() - 1]).unwrap(), None);
    }
}
