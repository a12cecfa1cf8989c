//! Which web pages may call the service from a browser: none, but those of the origins that are
//! configured. Owns CORS (Fetch standard). Credentials of the browser are never asked for: a key
//! stands in a header that the page itself sets.

use actix_web::HttpResponse;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderMap, HeaderValue, ORIGIN, VARY,
};

use crate::config::ConfigError;

/// Most origins of one configuration.
const ORIGINS_MAX: usize = 100;
/// How many seconds a browser may go by one answer to its preflight.
const MAX_AGE_SECS: u32 = 600;
const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
/// What a page may send.
const REQUEST_HEADERS: &str = "authorization, ocp-apim-subscription-key, accept, content-type, \
     content-encoding, if-match, if-none-match, x-request-id";
/// What a page may see of an answer, beyond what it always may.
const ANSWER_HEADERS: &str = "etag, content-location, location, retry-after, www-authenticate, \
     x-request-id, sanntid-limit, sanntid-replayed, ratelimit, ratelimit-policy";

/// Checks that each text is an origin as browsers send it.
pub(crate) fn check(origins: &[String]) -> Result<(), ConfigError> {
    let expected = "at most 100 origins as browsers send them: https://host or http://host, in small \
                    letters, with the port where it is not the usual one, and no path or *";
    let is_valid = origins.len() <= ORIGINS_MAX && origins.iter().all(|text| is_origin(text));
    crate::config::check(is_valid, "cors_origins", expected)
}

fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or(text.strip_prefix("http://"));
    host.is_some_and(|host| {
        let is_taken = |c: u8| {
            c.is_ascii_lowercase()
                || c.is_ascii_digit()
                || matches!(c, b'.' | b'-' | b':' | b'[' | b']')
        };
        !host.is_empty() && host.bytes().all(is_taken)
    })
}

/// Answers a browser's question whether a page may send what it wants to; it comes without a key.
pub(crate) fn preflight(request: &ServiceRequest, origins: &[String]) -> Option<HttpResponse> {
    let headers = request.headers();
    if request.method() != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    allowed(headers, origins)?;
    let mut response = HttpResponse::NoContent();
    response
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, METHODS))
        .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS))
        .insert_header((ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECS));
    Some(response.finish())
}

/// Lets a page of an allowed origin read an answer.
pub(crate) fn allow(asked: &HeaderMap, origins: &[String], answer: &mut HeaderMap) {
    if origins.is_empty() {
        return;
    }
    // Also where it is not allowed: a cache must not give the one's answer to the other.
    answer.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = allowed(asked, origins) else {
        return;
    };
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    let exposed = HeaderValue::from_static(ANSWER_HEADERS);
    answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}

/// The one origin that a request names, where it may call.
fn allowed<'a>(headers: &'a HeaderMap, origins: &[String]) -> Option<&'a HeaderValue> {
    let mut named = headers.get_all(ORIGIN);
    let (Some(origin), None) = (named.next(), named.next()) else {
        return None;
    };
    let is_listed = origins
        .iter()
        .any(|known| known.as_bytes() == origin.as_bytes());
    is_listed.then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_named_exactly_as_browsers_send_them() {
        for good in [
            "https://app.example.com",
            "http://localhost:3000",
            "https://[::1]:8443",
        ] {
            assert!(check(&[good.to_owned()]).is_ok(), "{good}");
        }
        for bad in [
            "",
            "*",
            "null",
            "https://",
            "https://*",
            "https://*.example.com",
            "app.example.com",
            "https://app.example.com/",
            "https://App.example.com",
            "https://a b",
            "ftp://a",
            "https://a,https://b",
            "https://user@a",
        ] {
            assert!(check(&[bad.to_owned()]).is_err(), "{bad}");
        }
        assert!(check(&vec!["https://a".to_owned(); ORIGINS_MAX + 1]).is_err());
    }
}
