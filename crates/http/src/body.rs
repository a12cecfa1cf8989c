//! Request bodies: their content types, their limits, and JSON read from them.
//! Owns 413 and 415. Must not know what a body means.

use std::time::Duration;

use actix_web::http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING,
};
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use sanntid_types::{Error, ErrorCode};
use serde::de::DeserializeOwned;

use crate::error::Failure;
use crate::query::shown;
use crate::server::Shared;

/// Names a limit on bodies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// The name of the setting.
    pub(crate) name: &'static str,
    pub(crate) bytes: u64,
}

impl Limit {
    pub(crate) fn new(name: &'static str, bytes: usize) -> Self {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        Self { name, bytes }
    }

    /// Refuses a length beyond the limit.
    pub(crate) fn check(self, length: u64) -> Result<(), Error> {
        if length <= self.bytes {
            return Ok(());
        }
        let Self { name, bytes } = self;
        let text = format!("the body is larger than {bytes} bytes, the limit {name}");
        Err(Error::new(ErrorCode::BodyTooLarge, text).with_target(name))
    }
}

/// Hands out a body chunk by chunk, within a limit.
pub(crate) struct Chunks {
    payload: web::Payload,
    limit: Limit,
    stall_timeout: Duration,
    taken: u64,
}

impl Chunks {
    /// Begins to read a body; one that declares itself too large is refused at once.
    pub(crate) fn new(
        headers: &HeaderMap,
        payload: web::Payload,
        limit: Limit,
        stall_timeout: Duration,
    ) -> Result<Self, Error> {
        let declared = headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        limit.check(declared.unwrap_or(0))?;
        Ok(Self {
            payload,
            limit,
            stall_timeout,
            taken: 0,
        })
    }

    /// The next chunk; `None` behind the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let next = tokio::time::timeout(self.stall_timeout, self.payload.next());
        let Ok(next) = next.await else {
            let secs = self.stall_timeout.as_secs_f32();
            return Err(invalid(format!("the body stalled for {secs} seconds")));
        };
        let Some(chunk) = next else {
            return Ok(None);
        };
        let chunk = chunk.map_err(|error| invalid(format!("the body broke off: {error}")))?;
        self.taken = self.taken.saturating_add(chunk.len() as u64);
        self.limit.check(self.taken)?;
        Ok(Some(chunk))
    }

    /// The whole body.
    async fn all(mut self) -> Result<Bytes, Error> {
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next().await? else {
            return Ok(first);
        };
        let mut whole = BytesMut::with_capacity(first.len() + second.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(chunk) = self.next().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}

/// Whether a request brings a body; where that is optional, an empty one is none.
pub(crate) fn is_sent(headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH);
    headers.contains_key(TRANSFER_ENCODING) || length.is_some_and(|length| length != "0")
}

/// Reads a JSON body as it is.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    limit: Limit,
    stall_timeout: Duration,
) -> Result<Bytes, Failure> {
    check_json_type(request.headers())?;
    let chunks = Chunks::new(request.headers(), payload, limit, stall_timeout)?;
    Ok(chunks.all().await?)
}

/// Checks a JSON body that is there already, by the headers that it came with.
pub(crate) fn check(headers: &HeaderMap, body: &[u8], limit: Limit) -> Result<(), Error> {
    check_json_type(headers)?;
    limit.check(u64::try_from(body.len()).unwrap_or(u64::MAX))
}

/// Reads a JSON body of any route but those with limits of their own.
pub(crate) async fn read_default(
    request: &HttpRequest,
    payload: web::Payload,
    shared: &Shared,
) -> Result<Bytes, Failure> {
    let limit = Limit::new("body_bytes_max", shared.config.body_bytes_max);
    read(request, payload, limit, shared.config.body_stall_timeout).await
}

/// Reads a JSON body into a value; unknown fields are refused by the value's own type.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        invalid(if body.is_empty() {
            "the body is empty; expected a JSON document".to_owned()
        } else {
            format!("the body is not what is expected here: {error}")
        })
    })
}

/// As `parse`, of a document with named fields: an array of values in their order is none.
pub(crate) fn parse_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(invalid(
            "the body is an array; expected an object".to_owned(),
        ));
    }
    parse(body)
}

fn check_json_type(headers: &HeaderMap) -> Result<(), Error> {
    check_not_encoded(headers)?;
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let text = value.to_str().unwrap_or_default();
    let (essence, parameters) = essence(text);
    let is_json = essence == "application/json"
        || essence == "text/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    if !is_json {
        return Err(unsupported(format!(
            "the content type {} is not taken here: send JSON as application/json",
            shown(&essence)
        )));
    }
    let charset = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("charset").then_some(value)
    });
    match charset {
        None => Ok(()),
        Some(charset)
            if ["utf-8", "utf8"]
                .iter()
                .any(|c| charset.eq_ignore_ascii_case(c)) =>
        {
            Ok(())
        }
        Some(charset) => Err(unsupported(format!(
            "the charset {} is not taken: send UTF-8",
            shown(charset)
        ))),
    }
}

/// Splits a content type into its lower-case essence and its parameters.
pub(crate) fn essence(content_type: &str) -> (String, &str) {
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    (essence.trim().to_ascii_lowercase(), parameters)
}

fn check_not_encoded(headers: &HeaderMap) -> Result<(), Error> {
    match encoding(headers).as_deref() {
        None => Ok(()),
        Some(other) => Err(unsupported(format!(
            "the content encoding {} is not taken here: send the body as it is",
            shown(other)
        ))),
    }
}

/// The content encoding of a body, in lower case, where it is encoded at all.
pub(crate) fn encoding(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_ENCODING)?;
    let text = value.to_str().unwrap_or("?").trim().to_ascii_lowercase();
    (!text.is_empty() && text != "identity").then_some(text)
}

pub(crate) fn unsupported(message: String) -> Error {
    Error::new(ErrorCode::UnsupportedContentType, message)
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidBody, message)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn check(name: actix_web::http::header::HeaderName, value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).expect("header"));
        check_json_type(&headers).is_ok()
    }

    #[test]
    fn json_is_taken_under_its_many_names() {
        assert!(check_json_type(&HeaderMap::new()).is_ok());
        for good in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "text/json",
            "application/json-patch+json; charset=utf-8",
            "application/merge-patch+json",
            "application/json;charset=\"utf-8\";odata.metadata=none",
        ] {
            assert!(check(CONTENT_TYPE, good), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/xml",
            "application/jsonx",
            "application/json; charset=latin1",
            "text/csv",
        ] {
            assert!(!check(CONTENT_TYPE, bad), "{bad}");
        }
    }

    #[test]
    fn encoded_json_is_refused() {
        assert!(check(CONTENT_ENCODING, "identity"));
        assert!(!check(CONTENT_ENCODING, "gzip"));
    }
}
