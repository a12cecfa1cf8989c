//! What a token says: when it is good, and whom it names.
//! Must not be asked before the token's signature was checked.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use sanntid_types::{Instant, PrincipalId, PrincipalType, Principals};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::config::{Config, ConfigError};

/// Says why a token is refused; never holds anything of it.
pub(crate) type Why = &'static str;

/// Holds a token's claims. One that stands there twice makes the token unreadable: readers differ
/// in which of the two they take.
#[derive(Debug)]
pub(crate) struct Claims(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OnceEach)
    }
}

struct OnceEach;

impl<'de> Visitor<'de> for OnceEach {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
        let mut claims = BTreeMap::new();
        while let Some((name, value)) = map.next_entry()? {
            if claims.insert(name, value).is_some() {
                return Err(A::Error::custom("a claim stands there twice"));
            }
        }
        Ok(Claims(claims))
    }
}

/// Says which claims name whom.
pub(crate) struct Naming {
    user_claims: Vec<String>,
    app_claims: Vec<String>,
    groups_claim: String,
    operators: Vec<(PrincipalType, PrincipalId)>,
}

impl Naming {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self {
            user_claims: config.user_claims.clone(),
            app_claims: config.app_claims.clone(),
            groups_claim: config.groups_claim.clone(),
            operators: config.operators()?,
        })
    }

    /// Whom the claims name.
    ///
    /// It is an app's token where one of these holds, and a user's else:
    /// - no claim names a user;
    /// - the user that is named is the app itself;
    /// - `idtyp` is `app`;
    /// - `oid` and `sub` are the same: of a user the provider that has both makes them differ.
    pub(crate) fn principals(&self, claims: &Claims) -> Result<Principals, Why> {
        let user = claims.first(&self.user_claims)?;
        let app = claims.first(&self.app_claims)?;
        let of_itself = claims.text("idtyp")? == Some("app")
            || (claims.text("oid")?.is_some() && claims.text("oid")? == claims.text("sub")?);
        let (kind, id) = match (user, app) {
            (Some(user), Some(app)) if of_itself || user == app => (PrincipalType::App, app),
            (Some(user), _) => (PrincipalType::User, user),
            (None, Some(app)) => (PrincipalType::App, app),
            (None, None) => return Err("it names nobody"),
        };
        let id = PrincipalId::parse(id).map_err(|_| "it names nobody who can have a role")?;
        let mut principals = Principals::new(id, kind, claims.groups(&self.groups_claim)?);
        let mut operators = self.operators.iter();
        principals.is_operator = operators.any(|(kind, id)| principals.is(*kind, id));
        Ok(principals)
    }
}

impl Claims {
    /// When the token begins and ceases to be good, if the provider's clock may be `leeway` off.
    pub(crate) fn times(&self, leeway: Duration) -> Result<(Option<Instant>, Instant), Why> {
        let until = self.time("exp")?.ok_or("it does not say when it expires")?;
        let from = self.time("nbf")?;
        Ok((from.map(|from| from.minus(leeway)), until.plus(leeway)))
    }

    /// The provider that made it.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.0.get("iss").and_then(Value::as_str)
    }

    /// Reads seconds since the epoch, which may have a fraction.
    fn time(&self, name: &str) -> Result<Option<Instant>, Why> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let seconds = value.as_f64();
        let since = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let since = since.ok_or("a time of it can't be read")?;
        Ok(Some(Instant::from_millis(0).plus(since)))
    }

    /// The first of these claims that is there.
    fn first(&self, names: &[String]) -> Result<Option<&str>, Why> {
        let name = names.iter().find(|name| self.0.contains_key(*name));
        name.map_or(Ok(None), |name| self.text(name))
    }

    fn text(&self, name: &str) -> Result<Option<&str>, Why> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err("a claim that names somebody is no text"),
        }
    }

    /// Reads a list of groups, or one. Those that can't have a role are passed over.
    fn groups(&self, name: &str) -> Result<Vec<PrincipalId>, Why> {
        let texts = match self.0.get(name) {
            None | Some(Value::Null) => &[],
            Some(Value::Array(groups)) => groups.as_slice(),
            Some(group) => std::slice::from_ref(group),
        };
        let mut groups = Vec::with_capacity(texts.len());
        for group in texts {
            let text = group.as_str().ok_or("its groups are no texts")?;
            groups.extend(PrincipalId::parse(text).ok());
        }
        Ok(groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(text: &str) -> Claims {
        serde_json::from_str(text).expect(text)
    }

    fn naming() -> Naming {
        let operators = ["user:root", "group:ops", "app:robot"].map(str::to_owned);
        let config = Config {
            operators: operators.to_vec(),
            ..Config::default()
        };
        Naming::new(&config).unwrap()
    }

    #[test]
    fn claims_name_a_user_or_an_app() {
        for (text, name) in [
            (r#"{"sub": "s"}"#, "user:s"),
            (r#"{"sub": "s", "oid": "o"}"#, "user:o"),
            (r#"{"sub": "s", "oid": "o", "azp": "a"}"#, "user:o"),
            (r#"{"sub": "s", "azp": "a", "appid": "b"}"#, "user:s"),
            // Without a user it is an app; the first claim counts.
            (r#"{"azp": "a"}"#, "app:a"),
            (r#"{"azp": "a", "appid": "b", "client_id": "c"}"#, "app:a"),
            (r#"{"appid": "b", "client_id": "c"}"#, "app:b"),
            (r#"{"client_id": "c"}"#, "app:c"),
            // A user that is the app.
            (r#"{"sub": "c", "client_id": "c"}"#, "app:c"),
            (r#"{"sub": "a", "azp": "a", "client_id": "c"}"#, "app:a"),
            // Said so, or told by the pair.
            (
                r#"{"sub": "s", "oid": "o", "azp": "a", "idtyp": "app"}"#,
                "app:a",
            ),
            (
                r#"{"sub": "s", "oid": "o", "azp": "a", "idtyp": "user"}"#,
                "user:o",
            ),
            (r#"{"sub": "o", "oid": "o", "azp": "a"}"#, "app:a"),
            // No app is named that it could be.
            (r#"{"sub": "o", "oid": "o"}"#, "user:o"),
        ] {
            let named = naming().principals(&claims(text)).expect(text);
            assert_eq!(named.name(), name, "{text}");
        }
    }

    #[test]
    fn claims_that_name_nobody_are_refused() {
        let long = format!(r#"{{"sub": "{}"}}"#, "x".repeat(257));
        for text in [
            "{}",
            r#"{"name": "n"}"#,
            r#"{"sub": ""}"#,
            r#"{"sub": " s"}"#,
            r#"{"sub": "a\nb"}"#,
            r#"{"sub": 1}"#,
            r#"{"sub": null}"#,
            r#"{"sub": ["s"]}"#,
            r#"{"oid": 1, "sub": "s"}"#,
            r#"{"sub": "s", "azp": {}}"#,
            r#"{"sub": "s", "groups": [1]}"#,
            r#"{"sub": "s", "groups": {"a": "b"}}"#,
            &long,
        ] {
            assert!(naming().principals(&claims(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn groups_are_those_that_can_have_a_role() {
        for (text, groups) in [
            (r#"{"sub": "s"}"#, ""),
            (r#"{"sub": "s", "groups": null}"#, ""),
            (r#"{"sub": "s", "groups": []}"#, ""),
            (r#"{"sub": "s", "groups": "a"}"#, "a"),
            (
                r#"{"sub": "s", "groups": ["b", "a", "b", "", " c", "/d/e"]}"#,
                "a b /d/e",
            ),
        ] {
            let named = naming().principals(&claims(text)).expect(text);
            for group in ["a", "b", "/d/e", " c", "c", "s"] {
                let id = PrincipalId::parse(group);
                let has = id.is_ok_and(|id| named.is(PrincipalType::Group, &id));
                assert_eq!(
                    has,
                    groups.split(' ').any(|one| one == group),
                    "{text} {group}"
                );
            }
        }
    }

    #[test]
    fn an_operator_is_one_by_kind_and_id() {
        for (text, is_operator) in [
            (r#"{"sub": "root"}"#, true),
            (r#"{"azp": "root"}"#, false),
            (r#"{"azp": "robot"}"#, true),
            (r#"{"sub": "robot"}"#, false),
            (r#"{"sub": "s", "azp": "robot"}"#, false),
            (r#"{"sub": "s", "groups": ["ops"]}"#, true),
            (r#"{"sub": "s", "groups": ["root", "robot"]}"#, false),
            (r#"{"sub": "ops"}"#, false),
            (r#"{"sub": "Root"}"#, false),
        ] {
            let named = naming().principals(&claims(text)).expect(text);
            assert_eq!(named.is_operator, is_operator, "{text}");
        }
    }

    #[test]
    fn times_are_numbers_of_seconds() {
        let times = |text: &str| claims(text).times(Duration::from_secs(60));
        let at = |millis: i64| Instant::from_millis(millis);
        for (text, from, until) in [
            (r#"{"exp": 1000}"#, None, at(1_060_000)),
            (
                r#"{"exp": 1000.5, "nbf": 900}"#,
                Some(at(840_000)),
                at(1_060_500),
            ),
            (
                r#"{"exp": 1e12, "nbf": 0}"#,
                Some(at(-60_000)),
                Instant::MAX,
            ),
        ] {
            assert_eq!(times(text), Ok((from, until)), "{text}");
        }
        for bad in [
            "{}",
            r#"{"nbf": 1000}"#,
            r#"{"exp": null}"#,
            r#"{"exp": "1000"}"#,
            r#"{"exp": -1}"#,
            r#"{"exp": 1e30}"#,
            r#"{"exp": [1000]}"#,
            r#"{"exp": true}"#,
            r#"{"exp": 1000, "nbf": "0"}"#,
            r#"{"exp": 1000, "nbf": null}"#,
        ] {
            assert!(times(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_claim_that_stands_there_twice_makes_a_token_unreadable() {
        for bad in [
            r#"{"sub": "a", "sub": "b"}"#,
            r#"{"sub": "a", "sub": "a"}"#,
            r#"{"sub": "a", "s\u0075b": "b"}"#,
            "[]",
            "1",
            "",
        ] {
            assert!(serde_json::from_str::<Claims>(bad).is_err(), "{bad}");
        }
    }
}
