//! Skip tokens: where a page ended, as an opaque text.
//!
//! Owns their form: base64url of a version, a check over query and place, and the place in JSON. A
//! place is the sort values and the key of the last row and not a number of rows, so that writes
//! and refreshes between two pages shift nothing (rules 5.6). The check finds tokens of another
//! query and damaged ones; it is no signature, as a place that was made up gives no more than a
//! query could ask for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sanntid_types::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::message::invalid;

const VERSION: u8 = 1;
const CHECK_LEN: usize = 16;
/// The longest token, in bytes: what an option may have.
pub(crate) const TOKEN_BYTES_MAX: usize = sanntid_odata::OPTION_BYTES_MAX;

/// Says where to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Token<K> {
    /// The JSON texts of the last row's sort attributes, in the order of `$orderby`.
    #[serde(rename = "v")]
    pub(crate) values: Vec<String>,
    #[serde(rename = "k")]
    pub(crate) key: K,
    /// How many rows of `$top` are still to come.
    #[serde(rename = "r")]
    pub(crate) remaining: Option<u64>,
}

/// Tells one query from another: what its pages have in common.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprint(blake3::Hasher);

impl Fingerprint {
    pub(crate) fn new<'p>(parts: impl IntoIterator<Item = &'p str>) -> Self {
        let mut hash = blake3::Hasher::new();
        hash.update(&[VERSION]);
        for part in parts {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Self(hash)
    }

    fn check(&self, place: &[u8]) -> [u8; CHECK_LEN] {
        let hash = self.0.clone().update(place).finalize();
        let bytes = hash.as_bytes().first_chunk::<CHECK_LEN>();
        *bytes.expect("a hash has 32 bytes")
    }
}

impl<K: Serialize + DeserializeOwned> Token<K> {
    /// The token as text; sort values that make it too long are `InvalidArgument`.
    pub(crate) fn encode(&self, query: &Fingerprint) -> Result<String> {
        let place = serde_json::to_vec(self).expect("texts and numbers are JSON");
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&query.check(&place));
        bytes.extend_from_slice(&place);
        let text = URL_SAFE_NO_PAD.encode(bytes);
        if text.len() > TOKEN_BYTES_MAX {
            let message = format!(
                "the last row of this page has sort values that no token of {TOKEN_BYTES_MAX} \
                 bytes can hold: order by shorter attributes, or ask for a larger page with $top"
            );
            return Err(invalid("$orderby", message));
        }
        Ok(text)
    }

    /// Reads a token that `encode` made for the same query; `option` names it in the error.
    pub(crate) fn decode(text: &str, query: &Fingerprint, option: &str) -> Result<Self> {
        read(text, query).ok_or_else(|| refused(option))
    }
}

pub(crate) fn refused(option: &str) -> Error {
    let message = format!(
        "expected in {option} the token of a nextLink of this very query: follow the link as it is"
    );
    invalid(option, message)
}

fn read<K: DeserializeOwned>(text: &str, query: &Fingerprint) -> Option<Token<K>> {
    if text.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (check, place) = rest.split_at_checked(CHECK_LEN)?;
    if *version != VERSION || check != query.check(place) {
        return None;
    }
    serde_json::from_slice(place).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> Token<String> {
        Token {
            values: vec!["\"å\"".to_owned(), "null".to_owned()],
            key: "c1".to_owned(),
            remaining: Some(7),
        }
    }

    #[test]
    fn a_token_goes_on_with_its_own_query_only() {
        let query = Fingerprint::new(["Customer", "A eq 1"]);
        let text = token().encode(&query).expect("short");
        assert_eq!(Token::decode(&text, &query, "$skiptoken"), Ok(token()));
        for other in [
            Fingerprint::new(["Customer", "A eq 2"]),
            Fingerprint::new(["CustomerA", " eq 1"]),
            Fingerprint::new(["Customer", "A eq 1", ""]),
        ] {
            let error = Token::<String>::decode(&text, &other, "$skiptoken").expect_err("foreign");
            assert_eq!(error.target.as_deref(), Some("$skiptoken"));
        }
    }

    #[test]
    fn a_damaged_token_is_refused() {
        let query = Fingerprint::new(["Customer"]);
        let text = token().encode(&query).expect("short");
        let bytes = URL_SAFE_NO_PAD.decode(&text).expect("own");
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let damaged = URL_SAFE_NO_PAD.encode(damaged);
            assert!(
                Token::<String>::decode(&damaged, &query, "").is_err(),
                "{at}"
            );
        }
        for length in 0..text.len() {
            let cut = &text[..length];
            assert!(Token::<String>::decode(cut, &query, "").is_err(), "{cut}");
        }
        let long = "A".repeat(TOKEN_BYTES_MAX + 1);
        for bad in [
            "",
            "=",
            "AQ",
            "å",
            &format!("{text}="),
            &format!("{text} "),
            &long,
        ] {
            assert!(Token::<String>::decode(bad, &query, "").is_err(), "{bad}");
        }
    }

    #[test]
    fn sort_values_that_no_link_can_hold_are_refused() {
        let query = Fingerprint::new([]);
        let of_length = |length| Token {
            values: vec!["x".repeat(length)],
            ..token()
        };
        let text = of_length(6000).encode(&query).expect("fits");
        assert!(Token::<String>::decode(&text, &query, "").is_ok());
        let error = of_length(6200).encode(&query).expect_err("too long");
        assert_eq!(error.target.as_deref(), Some("$orderby"));
    }

    proptest! {
        #[test]
        fn other_texts_never_panic(text in "[A-Za-z0-9_-]{0,200}") {
            let query = Fingerprint::new(["Customer"]);
            prop_assert!(Token::<String>::decode(&text, &query, "").is_err());
        }
    }
}
