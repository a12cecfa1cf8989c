//! Credentials: where a request carries them, and the caller that they make.
//! Owns the one way in. Must not keep or print a key's text.

use std::fmt;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use sanntid_types::{Error, ErrorCode, InstanceId, KeySlot};

use crate::caller::{Caller, InstanceKey};
use crate::error::Failure;
use crate::query::Query;
use crate::server::Shared;
use crate::token::{caller_of_token, is_token};

/// The header in which the published client sends a key.
pub(crate) const KEY_HEADER: &str = "ocp-apim-subscription-key";
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

/// What the text of an instance's key begins with; its instance follows.
const INSTANCE_KEY_PREFIX: &str = "snt_";

/// Finds out who calls, or says that it can't be told. A token counts more than a key beside it:
/// it says more about who calls, and a bad one is never passed over.
pub(crate) async fn authenticate(
    headers: &HeaderMap,
    query: &str,
    shared: &Shared,
) -> Result<Caller, Failure> {
    let header = headers.get(KEY_HEADER).and_then(|key| key.to_str().ok());
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| bearer(value.to_str().ok()?));
    if let (Some(token), Some(tokens)) = (bearer, &shared.tokens)
        && is_token(token)
        && !shared.keys.is(token)
    {
        return caller_of_token(token, tokens.as_ref()).await;
    }
    let mut given = false;
    for key in [header, bearer].into_iter().flatten() {
        given = true;
        if let Some(caller) = caller_of_key(key, shared)? {
            return Ok(caller);
        }
    }
    if query.contains(KEY_OPTION)
        && let Some(key) = Query::parse(query)?.option(KEY_OPTION)?
    {
        given = true;
        if let Some(caller) = caller_of_key(&key, shared)? {
            return Ok(caller);
        }
    }
    let message = if given {
        "no such key or token"
    } else {
        "a key is needed: send the header Ocp-Apim-Subscription-Key, the query option \
         subscription-key, or Authorization: Bearer"
    };
    Err(Error::new(ErrorCode::Unauthorized, message).into())
}

fn caller_of_key(text: &str, shared: &Shared) -> Result<Option<Caller>, Failure> {
    if shared.keys.is(text) {
        return Ok(Some(Caller::Operator));
    }
    let Some(instance) = instance_of_key(text) else {
        return Ok(None);
    };
    let Some(access) = shared.access_of(instance)? else {
        return Ok(None);
    };
    let hash = sanntid_engine::key_hash(text);
    let key = |slot| InstanceKey {
        instance,
        slot,
        hash,
    };
    let mut given = KeySlot::ALL.map(key).into_iter();
    let taken = given.find(|key| key.is_taken(&access.keys));
    Ok(taken.map(Caller::Key))
}

/// The instance that a key names.
fn instance_of_key(text: &str) -> Option<InstanceId> {
    let (instance, _) = text.strip_prefix(INSTANCE_KEY_PREFIX)?.split_once('_')?;
    InstanceId::parse(instance)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
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

    #[test]
    fn the_text_of_a_key_names_its_instance() {
        let instance = "5f0c8e0e6d0a4d3c9f0e2b8a51d1c001";
        let of = |text: &str| instance_of_key(text).map(|id| id.0.simple().to_string());
        assert_eq!(
            of(&format!("snt_{instance}_abc")).as_deref(),
            Some(instance)
        );
        for wrong in [
            "",
            "snt_",
            "snt__abc",
            instance,
            &format!("snt_{instance}"),
            &format!("SNT_{instance}_abc"),
            &format!(" snt_{instance}_abc"),
            &format!("snt_{instance}0_abc"),
            "snt_5f0c8e0e6d0a4d3c9f0e2b8a51d1c00ı_abc",
        ] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
    }
}
