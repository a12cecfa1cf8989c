//! Owns the settings of the identity provider and their ranges.
//! Must not read files or the environment: the server does that and hands the values over.

use std::time::Duration;

use sanntid_types::{PrincipalId, PrincipalType};
use serde::{Deserialize, Serialize};

use crate::source::Source;

/// Says which identity provider is trusted, and how its tokens are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The provider, as its tokens name it in `iss`, byte by byte; without it no token is taken.
    pub issuer: Option<String>,
    /// What tokens for this server name in `aud`; one of them is enough.
    pub audience: Vec<String>,
    /// Where the provider's keys are: a URL or a file; without it the issuer tells.
    pub jwks: Option<String>,
    /// How often the keys are read again.
    pub jwks_refresh: Duration,
    /// How old keys may become while the provider does not answer.
    pub jwks_stale_max: Duration,
    /// How far the provider's clock may be from ours.
    pub leeway: Duration,
    /// The algorithms of signatures that are taken.
    pub algorithms: Vec<Algorithm>,
    /// The claims that name a user; the first that a token has counts.
    pub user_claims: Vec<String>,
    /// The claims that name an app; the first that a token has counts.
    pub app_claims: Vec<String>,
    /// The claim that names the groups.
    pub groups_claim: String,
    /// The server's operators: `user:…`, `group:…`, `app:…`.
    pub operators: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            issuer: None,
            audience: Vec::new(),
            jwks: None,
            jwks_refresh: Duration::from_secs(600),
            jwks_stale_max: Duration::from_secs(24 * 3600),
            leeway: Duration::from_secs(60),
            algorithms: vec![
                Algorithm::RS256,
                Algorithm::PS256,
                Algorithm::ES256,
                Algorithm::EdDSA,
            ],
            user_claims: texts(&["oid", "sub"]),
            app_claims: texts(&["azp", "appid", "client_id"]),
            groups_claim: "groups".to_owned(),
            operators: Vec::new(),
        }
    }
}

/// Names an algorithm of signatures. All have a public key: whoever can check a token can't make
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl Algorithm {
    /// The library's name of it.
    pub(crate) fn of_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::RS256 => jsonwebtoken::Algorithm::RS256,
            Self::RS384 => jsonwebtoken::Algorithm::RS384,
            Self::RS512 => jsonwebtoken::Algorithm::RS512,
            Self::PS256 => jsonwebtoken::Algorithm::PS256,
            Self::PS384 => jsonwebtoken::Algorithm::PS384,
            Self::PS512 => jsonwebtoken::Algorithm::PS512,
            Self::ES256 => jsonwebtoken::Algorithm::ES256,
            Self::ES384 => jsonwebtoken::Algorithm::ES384,
            Self::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// Names a setting that is out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}")]
pub struct ConfigError {
    pub field: &'static str,
    pub expected: &'static str,
}

impl Config {
    /// Checks every setting, also where no token is taken.
    ///
    /// # Errors
    /// [`ConfigError`] names the first that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check_provider()?;
        self.check_times()?;
        let holds = !self.algorithms.is_empty();
        check(holds, "algorithms", "at least one")?;
        let lists = [
            ("user_claims", self.user_claims.as_slice()),
            ("app_claims", self.app_claims.as_slice()),
            ("groups_claim", std::slice::from_ref(&self.groups_claim)),
        ];
        for (field, names) in lists {
            let holds = !names.is_empty() && names.iter().all(|name| !name.is_empty());
            check(holds, field, "names of claims")?;
        }
        self.operators().map(drop)
    }

    /// The principals that are operators.
    pub(crate) fn operators(&self) -> Result<Vec<(PrincipalType, PrincipalId)>, ConfigError> {
        let error = ConfigError {
            field: "operators",
            expected: "user:ID, group:ID or app:ID",
        };
        let operators = self.operators.iter();
        operators
            .map(|text| operator(text).ok_or(error.clone()))
            .collect()
    }

    fn check_provider(&self) -> Result<(), ConfigError> {
        let set = self.issuer.as_deref();
        check(set != Some(""), "issuer", "the provider's name in tokens")?;
        let expected = "at least one, where an issuer is set";
        let holds = set.is_none() || !self.audience.is_empty();
        check(holds, "audience", expected)?;
        let holds = self.audience.iter().all(|audience| !audience.is_empty());
        check(holds, "audience", "texts that are not empty")?;
        // Without an issuer nobody would notice that no token is taken.
        let is_left = set.is_none() && (self.jwks.is_some() || !self.operators.is_empty());
        check(!is_left, "issuer", "the provider's name in tokens")?;
        Source::of(self).map(drop)
    }

    fn check_times(&self) -> Result<(), ConfigError> {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let refresh = self.jwks_refresh;
        let in_range = (Duration::from_secs(1)..=hours(24)).contains(&refresh);
        check(in_range, "jwks_refresh", "1 s to 24 h")?;
        let in_range = (refresh..=hours(24 * 30)).contains(&self.jwks_stale_max);
        check(in_range, "jwks_stale_max", "jwks_refresh to 30 d")?;
        let in_range = self.leeway <= Duration::from_secs(600);
        check(in_range, "leeway", "at most 10 m")
    }
}

pub(crate) fn check(
    holds: bool,
    field: &'static str,
    expected: &'static str,
) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(ConfigError { field, expected })
    }
}

fn operator(text: &str) -> Option<(PrincipalType, PrincipalId)> {
    let (kind, id) = text.split_once(':')?;
    let kinds = [
        PrincipalType::User,
        PrincipalType::Group,
        PrincipalType::App,
    ];
    let kind = kinds.into_iter().find(|known| known.name() == kind)?;
    Some((kind, PrincipalId::parse(id).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Config {
        Config {
            issuer: Some("https://login.example.com/tenant".to_owned()),
            audience: vec!["api://sanntid".to_owned()],
            operators: vec!["group:ops".to_owned(), "app:a:b".to_owned()],
            ..Config::default()
        }
    }

    #[test]
    fn each_setting_is_checked() {
        Config::default().validate().expect("defaults");
        good().validate().expect("good");
        type Spoil = fn(&mut Config);
        let bad: [(&str, Spoil); 16] = [
            ("issuer", |c| c.issuer = Some(String::new())),
            ("issuer", |c| c.issuer = None),
            ("audience", |c| c.audience.clear()),
            ("audience", |c| c.audience.push(String::new())),
            ("jwks", |c| c.jwks = Some(String::new())),
            ("jwks", |c| {
                c.jwks = Some("http://example.com/keys".to_owned())
            }),
            ("jwks", |c| c.jwks = Some("ftp://localhost/keys".to_owned())),
            ("issuer", |c| {
                c.issuer = Some("login.example.com".to_owned())
            }),
            ("jwks_refresh", |c| c.jwks_refresh = Duration::ZERO),
            ("jwks_stale_max", |c| {
                c.jwks_stale_max = Duration::from_secs(1)
            }),
            ("leeway", |c| c.leeway = Duration::from_secs(601)),
            ("algorithms", |c| c.algorithms.clear()),
            ("user_claims", |c| c.user_claims.clear()),
            ("groups_claim", |c| c.groups_claim.clear()),
            ("operators", |c| c.operators.push("someone".to_owned())),
            ("operators", |c| c.operators.push("key:primary".to_owned())),
        ];
        for (field, spoil) in bad {
            let mut config = good();
            spoil(&mut config);
            let error = config.validate().expect_err(field);
            assert_eq!(error.field, field);
        }
    }

    #[test]
    fn no_algorithm_without_a_public_key_can_be_named() {
        let read = |text: &str| serde_json::from_str::<Algorithm>(text);
        for good in ["\"RS256\"", "\"PS512\"", "\"ES384\"", "\"EdDSA\""] {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in ["\"none\"", "\"HS256\"", "\"HS512\"", "\"rs256\"", "\"\""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
