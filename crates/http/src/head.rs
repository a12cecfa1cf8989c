//! Limits on a request's head, and what it must not say twice.
//! Owns what is asked of every head before anything in it is believed.

use actix_web::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, IF_MATCH,
};
use actix_web::http::uri::Uri;
use sanntid_types::{Error, ErrorCode};

use crate::key::KEY_HEADER;

/// Longest path and query. With HTTP/1 the whole head has 128 KiB at most.
const TARGET_BYTES_MAX: usize = 32 << 10;
/// Names and values of all headers together, which with HTTP/2 nothing else limits.
const HEADERS_BYTES_MAX: usize = 64 << 10;
/// Headers of one request. With HTTP/1 it is 96.
const HEADERS_MAX: usize = 100;
/// What has one meaning, so that two readers must not take one each.
const ONCE: [HeaderName; 6] = [
    AUTHORIZATION,
    HeaderName::from_static(KEY_HEADER),
    CONTENT_TYPE,
    CONTENT_ENCODING,
    IF_MATCH,
    HOST,
];

/// Refuses a head that is too large, or that says two things at once.
pub(crate) fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), Error> {
    let target = uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > TARGET_BYTES_MAX {
        let text = format!("the address is longer than {TARGET_BYTES_MAX} bytes");
        return Err(Error::new(ErrorCode::UriTooLong, text));
    }
    let (mut count, mut bytes) = (0, 0);
    for (name, value) in headers {
        count += 1;
        bytes += name.as_str().len() + value.len();
    }
    if count > HEADERS_MAX || bytes > HEADERS_BYTES_MAX {
        let text =
            format!("the headers are more than {HEADERS_MAX} or {HEADERS_BYTES_MAX} bytes in all");
        return Err(Error::new(ErrorCode::HeadersTooLarge, text));
    }
    for name in &ONCE {
        let mut values = headers.get_all(name);
        let first = values.next();
        if values.any(|other| Some(other) != first) {
            let text = format!("the header {name} comes twice and says two things");
            return Err(Error::new(ErrorCode::InvalidArgument, text).with_target(name.as_str()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn check_headers(pairs: &[(&str, &str)]) -> Result<(), ErrorCode> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                name.parse().expect("a name"),
                HeaderValue::from_str(value).expect("a value"),
            );
        }
        check(&Uri::from_static("/"), &headers).map_err(|error| error.code)
    }

    #[test]
    fn what_has_one_meaning_is_said_once() {
        for name in &ONCE {
            let name = name.as_str();
            assert_eq!(check_headers(&[(name, "a"), ("x", "b")]), Ok(()));
            assert_eq!(check_headers(&[(name, "a"), (name, "a")]), Ok(()));
            let two = check_headers(&[(name, "a"), (name, "a"), (name, "b")]);
            assert_eq!(two, Err(ErrorCode::InvalidArgument), "{name}");
        }
        assert_eq!(check_headers(&[("accept", "a"), ("accept", "b")]), Ok(()));
    }

    #[test]
    fn heads_have_limits() {
        let most = vec![("x", "v"); HEADERS_MAX];
        assert_eq!(check_headers(&most), Ok(()));
        let more = vec![("x", "v"); HEADERS_MAX + 1];
        assert_eq!(check_headers(&more), Err(ErrorCode::HeadersTooLarge));
        let long = "v".repeat(HEADERS_BYTES_MAX);
        assert_eq!(check_headers(&[("x", &long[1..])]), Ok(()));
        assert_eq!(
            check_headers(&[("x", &long)]),
            Err(ErrorCode::HeadersTooLarge)
        );
        for (bytes, good) in [(TARGET_BYTES_MAX, true), (TARGET_BYTES_MAX + 1, false)] {
            let uri: Uri = format!("/{}", "a".repeat(bytes - 1))
                .parse()
                .expect("a URI");
            assert_eq!(check(&uri, &HeaderMap::new()).is_ok(), good);
        }
    }
}
