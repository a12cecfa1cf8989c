//! The provider's public keys: reading a set of them (RFC 7517), and finding the one of a token.
//! Must not know where they come from.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use sanntid_engine::TokenRefusal;
use serde::Deserialize;
use serde_json::Value;

/// Most keys that a set may have.
const KEYS_MAX: usize = 100;

const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Holds the keys with which tokens may be signed.
pub(crate) struct KeySet {
    keys: Vec<Key>,
    /// Tells one set from another.
    pub(crate) hash: blake3::Hash,
}

struct Key {
    id: Option<String>,
    /// The algorithms for which it is meant.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a set. Keys that are of no use are left out: providers add new kinds. One without any
    /// is a set too: nothing is taken any more.
    ///
    /// # Errors
    /// What is wrong, in words for an operator.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(text)
            .map_err(|error| format!("this is no set of keys: {error}"))?;
        if document.keys.len() > KEYS_MAX {
            return Err(format!("the set has more than {KEYS_MAX} keys"));
        }
        Ok(Self {
            keys: document.keys.into_iter().filter_map(Key::read).collect(),
            hash: blake3::hash(text),
        })
    }

    /// How many keys are of use.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Finds the key that a token names, or the only one that it can mean.
    pub(crate) fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<&DecodingKey, TokenRefusal> {
        let is_meant = |key: &&Key| id.is_none() || key.id.as_deref() == id;
        let mut meant = self.keys.iter().filter(is_meant).peekable();
        if meant.peek().is_none() {
            return Err(TokenRefusal::UnknownKey);
        }
        let mut fit = meant.filter(|key| key.algorithms.contains(&algorithm));
        let unfit = "its key is for another algorithm";
        let key = fit.next().ok_or(TokenRefusal::Invalid(unfit))?;
        if id.is_none() && fit.next().is_some() {
            return Err(TokenRefusal::Invalid("it does not say which key is its"));
        }
        Ok(&key.key)
    }
}

impl Key {
    /// Reads a key; `None` where it is of no use for checking signatures.
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let common = &jwk.common;
        let is_for_signatures = common
            .public_key_use
            .as_ref()
            .is_none_or(|meant| *meant == PublicKeyUse::Signature);
        let operations = common.key_operations.as_ref();
        let is_for_checks = operations.is_none_or(|meant| meant.contains(&KeyOperations::Verify));
        if !is_for_signatures || !is_for_checks {
            return None;
        }
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => RSA.to_vec(),
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) => match key.curve {
                EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
                _ => return None,
            },
            // A secret among public keys is a mistake, and no secret any more.
            _ => return None,
        };
        if let Some(meant) = common.key_algorithm {
            let meant = Algorithm::try_from(meant).ok();
            algorithms.retain(|algorithm| Some(*algorithm) == meant);
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        (!algorithms.is_empty()).then(|| Self {
            id: jwk.common.key_id,
            algorithms,
            key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EC: &str = r#""kty": "EC", "crv": "P-256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#;
    const ED: &str = r#""kty": "OKP", "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
    const RSA_KEY: &str = r#""kty": "RSA", "n": "AQAB", "e": "AQAB""#;

    fn set(keys: &[&str]) -> KeySet {
        let text = format!("{{\"keys\": [{}], \"more\": 1}}", keys.join(", "));
        KeySet::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn keys_that_are_of_no_use_are_left_out() {
        for good in [
            format!("{{{EC}}}"),
            format!("{{{EC}, \"kid\": \"a\", \"use\": \"sig\", \"alg\": \"ES256\", \"x5c\": []}}"),
            format!("{{{ED}, \"key_ops\": [\"verify\"]}}"),
            format!("{{{RSA_KEY}}}"),
        ] {
            assert_eq!(set(&[&good]).len(), 1, "{good}");
        }
        for bad in [
            "1".to_owned(),
            "{}".to_owned(),
            format!("{{{EC}, \"use\": \"enc\"}}"),
            format!("{{{EC}, \"key_ops\": [\"sign\"]}}"),
            format!("{{{EC}, \"alg\": \"RS256\"}}"),
            format!("{{{EC}, \"alg\": \"ES999\"}}"),
            format!("{{{}}}", EC.replace("P-256", "P-521")),
            format!("{{{}}}", EC.replace("MKBC", "*")),
            format!("{{{}}}", ED.replace("Ed25519", "X25519")),
            r#"{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}"#.to_owned(),
            r#"{"kty": "RSA", "e": "AQAB"}"#.to_owned(),
            r#"{"kty": "new"}"#.to_owned(),
        ] {
            assert_eq!(set(&[&bad, &format!("{{{EC}}}")]).len(), 1, "{bad}");
        }
    }

    #[test]
    fn what_is_no_set_is_an_error_and_an_empty_set_is_one() {
        assert_eq!(set(&[]).len(), 0);
        let many = vec!["{}"; 101].join(", ");
        for bad in ["", "[]", "{}", "{\"keys\": 1}", "<html>"] {
            assert!(KeySet::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(KeySet::parse(format!("{{\"keys\": [{many}]}}").as_bytes()).is_err());
    }

    #[test]
    fn a_token_finds_its_key_by_name_and_algorithm() {
        let with = |key: &str, id: &str| format!("{{{key}, \"kid\": \"{id}\"}}");
        let keys = set(&[
            &with(EC, "a"),
            &with(ED, "b"),
            &with(ED, "c"),
            &with(EC, "c"),
        ]);
        let refusal = |id, algorithm| keys.find(id, algorithm).err();
        for (id, algorithm) in [
            (Some("a"), Algorithm::ES256),
            (Some("b"), Algorithm::EdDSA),
            (Some("c"), Algorithm::EdDSA),
            (Some("c"), Algorithm::ES256),
        ] {
            assert_eq!(refusal(id, algorithm), None, "{id:?} {algorithm:?}");
        }
        let unknown = Some(TokenRefusal::UnknownKey);
        assert_eq!(refusal(Some("d"), Algorithm::ES256), unknown);
        for (id, algorithm) in [
            (Some("a"), Algorithm::EdDSA),
            (Some("a"), Algorithm::ES384),
            (Some("a"), Algorithm::HS256),
            (None, Algorithm::RS256),
            // Two could be meant.
            (None, Algorithm::EdDSA),
        ] {
            let refused = refusal(id, algorithm);
            assert!(
                matches!(refused, Some(TokenRefusal::Invalid(_))),
                "{id:?} {algorithm:?}"
            );
        }
        let only = set(&[&with(ED, "b"), &with(EC, "a")]);
        assert!(
            only.find(None, Algorithm::ES256).is_ok(),
            "only one can be meant"
        );
    }
}
