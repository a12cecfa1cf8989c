//! Who calls: the administrator's key, where a request carries it, and the caller it makes.
//! Owns the one way in. Must not keep or print a key's text.

use std::fmt;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use sanntid_types::{Error, ErrorCode};

use crate::error::Failure;
use crate::query::Query;

/// The header in which the published client sends a key.
const KEY_HEADER: &str = "ocp-apim-subscription-key";
/// The query option that does the same; every route knows it.
pub(crate) const KEY_OPTION: &str = "subscription-key";

/// Holds the hash of the administrator's key.
#[derive(Clone)]
pub struct AdminKey(blake3::Hash);

impl AdminKey {
    /// Takes the key's text and keeps only its hash.
    pub fn new(text: &str) -> Self {
        Self(blake3::hash(text.as_bytes()))
    }

    /// Whether this is the key. Takes the same time for every wrong one.
    fn is(&self, text: &str) -> bool {
        // Comparing blake3 hashes is constant-time.
        blake3::hash(text.as_bytes()) == self.0
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminKey(redacted)")
    }
}

/// Says what a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything, on every instance.
    Operator,
}

/// Holds who calls. Only an admitted request has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) name: String,
    pub(crate) role: Role,
}

/// Finds out who calls, or says that it can't be told.
pub(crate) fn authenticate(
    headers: &HeaderMap,
    query: &str,
    admin: &AdminKey,
) -> Result<Caller, Error> {
    let header = headers.get(KEY_HEADER).and_then(|key| key.to_str().ok());
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| bearer(value.to_str().ok()?));
    let mut given = false;
    for key in [header, bearer].into_iter().flatten() {
        given = true;
        if admin.is(key) {
            return Ok(operator());
        }
    }
    if query.contains(KEY_OPTION)
        && let Some(key) = Query::parse(query)?.option(KEY_OPTION)?
    {
        given = true;
        if admin.is(&key) {
            return Ok(operator());
        }
    }
    let message = if given {
        "no such key or token"
    } else {
        "a key is needed: send the header Ocp-Apim-Subscription-Key, the query option \
         subscription-key, or Authorization: Bearer"
    };
    Err(Error::new(ErrorCode::Unauthorized, message))
}

fn operator() -> Caller {
    Caller {
        name: "administrator".to_owned(),
        role: Role::Operator,
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

/// A handler that takes a `Caller` can't be reached without one.
impl FromRequest for Caller {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        let nobody = || Error::new(ErrorCode::Unauthorized, "a key is needed").into();
        ready(caller.ok_or_else(nobody))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_prints_itself() {
        let key = AdminKey::new("s3cret");
        assert_eq!(format!("{key:?}"), "AdminKey(redacted)");
        assert!(key.is("s3cret"));
        for wrong in ["", "s3cre", "s3cret ", "S3cret"] {
            assert!(!key.is(wrong), "{wrong:?}");
        }
    }
}
