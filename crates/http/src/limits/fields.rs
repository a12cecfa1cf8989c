//! What answers say of limits: `RateLimit-Policy` and `RateLimit`, as structured fields.
//! Owns the two fields of draft-ietf-httpapi-ratelimit-headers. Must not count.

use std::fmt::Write as _;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use sanntid_types::{LimitName, Limits};

use super::buckets::Left;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// What an answer says of limits.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    pub(super) policy: Option<HeaderValue>,
    pub(super) left: Left,
}

/// The limits that a caller can pace itself by; `None` where there are none.
pub(super) fn policy(limits: &Limits) -> Option<HeaderValue> {
    let per_second = ";w=1";
    let all = [
        (
            LimitName::RequestsPerSecond,
            u64::from(limits.requests_per_second),
            "",
            per_second,
        ),
        (
            LimitName::CallerRequestsPerSecond,
            u64::from(limits.caller_requests_per_second),
            "",
            per_second,
        ),
        (
            LimitName::ProfileWritesPerSecond,
            u64::from(limits.profile_writes_per_second),
            "",
            per_second,
        ),
        (
            LimitName::BytesPerSecond,
            limits.bytes_per_second,
            ";qu=\"content-bytes\"",
            per_second,
        ),
        (
            LimitName::ConcurrentRequests,
            u64::from(limits.concurrent_requests),
            ";qu=\"concurrent-requests\"",
            "",
        ),
    ];
    let mut text = String::new();
    for (limit, quota, unit, window) in all.into_iter().filter(|(_, quota, ..)| *quota > 0) {
        let comma = if text.is_empty() { "" } else { ", " };
        let name = limit.name();
        write!(text, "{comma}\"{name}\";q={quota}{unit}{window}").expect("a String takes it");
    }
    HeaderValue::from_str(&text)
        .ok()
        .filter(|_| !text.is_empty())
}

impl Fields {
    pub(super) fn add_to(self, headers: &mut HeaderMap) {
        if let Some(policy) = self.policy {
            headers.insert(POLICY, policy);
        }
        let Left {
            requests,
            of_caller,
        } = self.left;
        let left = [
            (LimitName::RequestsPerSecond, requests),
            (LimitName::CallerRequestsPerSecond, of_caller),
        ];
        let mut text = String::with_capacity(80);
        for (limit, left) in left {
            let Some(left) = left else { continue };
            let comma = if text.is_empty() { "" } else { ", " };
            let name = limit.name();
            // A bucket is full again after a second.
            write!(text, "{comma}\"{name}\";r={left};t=1").expect("a String takes it");
        }
        if !text.is_empty()
            && let Ok(value) = HeaderValue::try_from(text)
        {
            headers.insert(LEFT, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_what_is_limited_and_nothing_else() {
        let limits = Limits {
            requests_per_second: 100,
            bytes_per_second: 65_536,
            concurrent_requests: 8,
            caller_requests_per_second: 0,
            profile_writes_per_second: 0,
            ..Limits::default()
        };
        let expected = "\"requestsPerSecond\";q=100;w=1, \
                        \"bytesPerSecond\";q=65536;qu=\"content-bytes\";w=1, \
                        \"concurrentRequests\";q=8;qu=\"concurrent-requests\"";
        assert_eq!(policy(&limits).unwrap(), expected);
        let none = Limits {
            requests_per_second: 0,
            bytes_per_second: 0,
            concurrent_requests: 0,
            ..limits
        };
        assert_eq!(policy(&none), None);
    }

    #[test]
    fn what_is_left_stands_in_the_other_field() {
        let mut headers = HeaderMap::new();
        let left = Left {
            requests: Some(99),
            of_caller: Some(0),
        };
        Fields { policy: None, left }.add_to(&mut headers);
        let expected = "\"requestsPerSecond\";r=99;t=1, \"callerRequestsPerSecond\";r=0;t=1";
        assert_eq!(headers.get(LEFT).unwrap(), expected);
        let mut headers = HeaderMap::new();
        Fields::default().add_to(&mut headers);
        assert!(headers.is_empty());
    }
}
