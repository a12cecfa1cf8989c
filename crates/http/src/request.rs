//! What handlers take from a request besides its query and body: instance, path, links, wishes.
//! Owns decoding of paths. Must not decide what a path means.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{ACCEPT, HOST, HeaderMap, IF_NONE_MATCH};
use actix_web::{FromRequest, HttpRequest};
use percent_encoding::percent_decode_str;
use sanntid_types::{Error, ErrorCode, InstanceId};

use crate::connection::Line;
use crate::error::Failure;
use crate::query::shown;
use crate::server::Shared;

/// Under what every route of the API is served.
pub(crate) const PREFIXES: [&str; 2] = ["/api", "/v1"];

/// Whether a path is one of the API's.
pub(crate) fn is_data(path: &str) -> bool {
    prefix(path).is_some()
}

/// Whether a path takes many lines and answers in lines.
pub(crate) fn is_bulk(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or(path);
    matches!(last, "$bulk" | "%24bulk")
}

/// Whether a path gives a file or a model, whose type may be another than JSON.
pub(crate) fn has_own_type(path: &str) -> bool {
    let mut segments = path.rsplit('/');
    let last = segments.next().unwrap_or_default();
    matches!(last, "$metadata" | "%24metadata") || segments.next() == Some("exports")
}

fn prefix(path: &str) -> Option<&'static str> {
    PREFIXES.into_iter().find(|prefix| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Refuses a path whose percent escapes are incomplete or give no UTF-8.
pub(crate) fn check_escapes(path: &str) -> Result<(), Error> {
    decode(path).map(|_| ())
}

fn decode(path: &str) -> Result<String, Error> {
    let mut rest = path.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let (_, escape) = rest.split_at(at);
        match escape {
            [_, high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = after;
            }
            _ => return Err(bad_path("a % without two hexadecimal digits (send %25)")),
        }
    }
    match percent_decode_str(path).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(bad_path("percent escapes that are not UTF-8")),
    }
}

fn bad_path(problem: &str) -> Error {
    Error::new(
        ErrorCode::InvalidArgument,
        format!("the path contains {problem}"),
    )
}

/// The decoded text of one named segment of the path.
pub(crate) fn segment(request: &HttpRequest, name: &str) -> Result<String, Error> {
    // The router decodes all escapes but those of `%`, `/` and `+`.
    decode(request.match_info().get(name).unwrap_or_default())
}

/// The decoded text behind `/data/`, whether it came as one segment or as several.
///
/// A segment of its own behind an entity is the key as a whole, whatever its escapes stand for: it
/// comes in the quoted form, in which `/` and `?` are a part of it.
pub(crate) fn data_tail(request: &HttpRequest) -> Result<String, Error> {
    let raw = request.uri().path();
    decode_tail(raw.split_once("/data/").map_or("", |(_, tail)| tail))
}

/// What a call under `/data/` needs of the request that it is, or that brought it in a batch.
pub(crate) struct DataCall<'a> {
    pub(crate) instance: InstanceId,
    /// The instance's absolute URL.
    pub(crate) base: String,
    /// The decoded text behind `/data/`.
    pub(crate) tail: String,
    pub(crate) headers: &'a HeaderMap,
}

impl<'a> DataCall<'a> {
    pub(crate) fn of(
        request: &'a HttpRequest,
        shared: &Shared,
        Instance(instance): Instance,
    ) -> Result<Self, Error> {
        Ok(Self {
            instance,
            base: instance_url(request, shared, instance),
            tail: data_tail(request)?,
            headers: request.headers(),
        })
    }
}

/// Decodes what stands behind `/data/`.
pub(crate) fn decode_tail(raw: &str) -> Result<String, Error> {
    match raw.split_once('/') {
        Some((entity, key)) if is_name(entity) && !key.is_empty() && !key.contains('/') => {
            let key = decode(key)?;
            // What OData itself has behind an entity begins so.
            if key.starts_with('$') {
                return Ok(format!("{entity}/{key}"));
            }
            Ok(format!("{entity}('{}')", key.replace('\'', "''")))
        }
        _ => decode(raw),
    }
}

fn is_name(segment: &str) -> bool {
    let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !segment.is_empty() && segment.bytes().all(is_of_names)
}

/// The instance that a path names. Any text that is no UUID names none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instance(pub(crate) InstanceId);

impl FromRequest for Instance {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(instance(request))
    }
}

/// Says that there is no such instance, as far as the caller may know.
pub(crate) fn no_instance(instance: InstanceId) -> Error {
    let text = format!("there is no instance {instance}");
    Error::new(ErrorCode::InstanceNotFound, text).with_target(instance.to_string())
}

/// Reads the instance that a path names.
pub(crate) fn instance(request: &HttpRequest) -> Result<Instance, Failure> {
    let text = segment(request, "instanceId")?;
    let Some(id) = InstanceId::parse(&text) else {
        let message = format!("there is no instance {}: its id is a UUID", shown(&text));
        return Err(Error::new(ErrorCode::InstanceNotFound, message).into());
    };
    tracing::Span::current().record("instance_id", tracing::field::display(id));
    Ok(Instance(id))
}

/// Refuses a workflow other than the one there is.
pub(crate) fn check_workflow(request: &HttpRequest) -> Result<(), Error> {
    let name = segment(request, "workflowName")?;
    if name.eq_ignore_ascii_case("main") {
        return Ok(());
    }
    let message = format!("there is no workflow {}: there is only main", shown(&name));
    Err(Error::new(ErrorCode::RouteNotFound, message).with_target("workflowName"))
}

/// The absolute URL of an instance, with the request's own prefix.
pub(crate) fn instance_url(request: &HttpRequest, shared: &Shared, instance: InstanceId) -> String {
    format!("{}/instances/{instance}", api_url(request, shared))
}

/// The absolute URL of the API, with the request's own prefix.
pub(crate) fn api_url(request: &HttpRequest, shared: &Shared) -> String {
    let prefix = prefix(request.uri().path()).unwrap_or("/api");
    if let Some(origin) = &shared.config.public_url {
        return format!("{origin}{prefix}");
    }
    let (scheme, host) = origin(request);
    format!("{scheme}://{host}{prefix}")
}

/// How the client reached us: the scheme and the host with its port.
pub(crate) fn origin(request: &HttpRequest) -> (String, String) {
    let connection = request.connection_info();
    let line = Line::of(request);
    let scheme = match line {
        Some(line) if line.is_tls() => "https",
        _ => connection.scheme(),
    };
    let names_host = request.headers().contains_key(HOST) || request.uri().host().is_some();
    let host = match line.and_then(Line::local) {
        // An old client need not say whom it calls.
        Some(local) if !names_host => local.to_string(),
        _ => connection.host().to_owned(),
    };
    (scheme.to_owned(), host)
}

/// The text of a header, where it is one.
pub(crate) fn header(headers: &HeaderMap, name: &str) -> Result<Option<String>, Error> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| {
        let text = format!("the header {name} has characters outside visible ASCII");
        Error::new(ErrorCode::InvalidArgument, text).with_target(name)
    })?;
    Ok(Some(text.to_owned()))
}

/// Whether the caller has this version already (`If-None-Match`, compared weakly).
pub(crate) fn has_version(headers: &HeaderMap, etag: &str) -> bool {
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let asked = headers.get_all(IF_NONE_MATCH);
    asked
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.trim() == "*" || value.split(',').any(|tag| weak(tag) == weak(etag)))
}

/// Refuses a caller who takes no JSON.
pub(crate) fn check_accept(headers: &HeaderMap) -> Result<(), Error> {
    check_accept_of(headers, &["application/json", "text/json"])
}

/// Refuses a caller who takes none of these content types, which are names of the same.
pub(crate) fn check_accept_of(headers: &HeaderMap, types: &[&str]) -> Result<(), Error> {
    let mut best: Option<(u8, bool)> = None;
    let mut any = false;
    for value in headers.get_all(ACCEPT) {
        let ranges = value.to_str().unwrap_or_default().split(',');
        for range in ranges.map(str::trim).filter(|range| !range.is_empty()) {
            any = true;
            let Some((specific, taken)) = takes(range, types) else {
                continue;
            };
            // The most specific range counts (RFC 9110, 12.5.1).
            best = best.max(Some((specific, taken)));
        }
    }
    if !any || best.is_some_and(|(_, taken)| taken) {
        return Ok(());
    }
    let name = types.first().unwrap_or(&"");
    let text = format!("answers are {name}, which the header Accept excludes");
    Err(Error::new(ErrorCode::NotAcceptable, text).with_target("Accept"))
}

/// How specifically a media range names one of the types, and whether it wants it.
fn takes(range: &str, types: &[&str]) -> Option<(u8, bool)> {
    let mut parts = range.split(';').map(str::trim);
    let essence = parts.next()?.to_ascii_lowercase();
    let specific = match essence.as_str() {
        named if types.contains(&named) => 3,
        "application/*" => 2,
        "*/*" => 1,
        _ => return None,
    };
    let quality = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("q")
            .then_some(value.trim())
    });
    let refused = quality.is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
    Some((specific, !refused))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn accept_must_allow_json() {
        let check = |accept: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(ACCEPT, HeaderValue::from_str(value).expect("header"));
            }
            check_accept(&headers).is_ok()
        };
        for good in [
            &[][..],
            &[""],
            &["*/*"],
            &["application/json"],
            &["Application/JSON;odata.metadata=minimal"],
            &["text/html, application/*;q=0.1"],
            &["text/html", "*/*;q=0.5"],
            &["application/json, */*;q=0"],
        ] {
            assert!(check(good), "{good:?}");
        }
        for bad in [
            &["text/html"][..],
            &["application/xml, text/plain"],
            &["application/json;q=0, */*"],
            &["*/*;q=0.0"],
            &["application/json; Q=0"],
        ] {
            assert!(!check(bad), "{bad:?}");
        }
    }

    #[test]
    fn paths_are_decoded_once() {
        for (path, decoded) in [
            ("Customer%28%27c1%27%29", "Customer('c1')"),
            ("Customer%2Fc1", "Customer/c1"),
            ("a%2525", "a%25"),
            ("%C3%A5+b", "å+b"),
        ] {
            assert_eq!(decode(path).as_deref(), Ok(decoded), "{path}");
        }
        for bad in ["%", "a%2", "%zz", "%ff", "%C3", "%C3%28"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_are_compared_weakly() {
        for (asked, has) in [
            ("\"a\"", true),
            ("\"b\", W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("", false),
        ] {
            let request = TestRequest::default().insert_header((IF_NONE_MATCH, asked));
            assert_eq!(
                has_version(request.to_http_request().headers(), "\"a\""),
                has,
                "{asked}"
            );
        }
    }
}
