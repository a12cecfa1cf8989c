//! The verifier: checks tokens from memory, with the provider's keys that `renewal` keeps.
//! Owns the order of a token's checks, and what is remembered of good ones.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, Validation, decode, decode_header};
use parking_lot::Mutex;
use sanntid_engine::{TokenRefusal, Tokens};
use sanntid_types::{Clock, Instant, Principals};

use crate::cache::{Cache, Known};
use crate::claims::{Claims, Naming, Why};
use crate::config::{Config, ConfigError};
use crate::crypto;
use crate::keys::KeySet;
use crate::renewal::Renewal;

/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Says why no token can be taken.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file of keys can't be read.
    #[error("{0}")]
    Keys(String),
    #[error("no thread can be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Checks the tokens of one identity provider. Its thread ends with it.
pub struct Verifier {
    issuer: String,
    leeway: Duration,
    naming: Naming,
    /// One per algorithm that is taken.
    validations: Vec<Validation>,
    renewal: Renewal,
    cache: Mutex<Cache>,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// Starts as configured; `None` where no issuer is set. A file of keys is read here, the keys
    /// of a provider in the background: the server starts without it.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong with the settings or the file.
    pub fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<Option<Self>, StartError> {
        config.validate()?;
        let Some(issuer) = config.issuer.clone() else {
            return Ok(None);
        };
        crypto::install();
        let algorithms = config.algorithms.iter();
        let validation = |algorithm| {
            let mut validation = Validation::new(algorithm);
            validation.set_required_spec_claims(&["exp", "iss", "aud"]);
            validation.set_issuer(&[&issuer]);
            validation.set_audience(&config.audience);
            // Times are checked here, by the server's clock; the library has one of its own.
            validation.validate_exp = false;
            validation.validate_nbf = false;
            validation
        };
        Ok(Some(Self {
            validations: algorithms.map(|one| validation(one.of_library())).collect(),
            leeway: config.leeway,
            naming: Naming::new(config)?,
            renewal: Renewal::start(config, Arc::clone(&clock))?,
            cache: Mutex::default(),
            issuer,
            clock,
        }))
    }

    /// Checks a token that is not remembered.
    fn check(&self, token: &str, keys: &KeySet) -> Result<Known, TokenRefusal> {
        let unreadable = "it is not signed, or its header can't be read";
        let header = decode_header(token).map_err(|_| TokenRefusal::Invalid(unreadable))?;
        check_header(&header).map_err(TokenRefusal::Invalid)?;
        let mut validations = self.validations.iter();
        let validation = validations.find(|one| one.algorithms.contains(&header.alg));
        let untaken = TokenRefusal::Invalid("its algorithm is not taken");
        let validation = validation.ok_or(untaken)?;
        let key = keys.find(header.kid.as_deref(), header.alg)?;
        let claims = decode::<Claims>(token, key, validation);
        let claims = claims.map_err(|error| TokenRefusal::Invalid(why(error.kind())))?;
        self.read(&claims.claims, keys)
            .map_err(TokenRefusal::Invalid)
    }

    fn read(&self, claims: &Claims, keys: &KeySet) -> Result<Known, Why> {
        // The library takes a list of issuers too.
        if claims.issuer() != Some(&self.issuer) {
            return Err(WRONG_ISSUER);
        }
        let (from, until) = claims.times(self.leeway)?;
        Ok(Known {
            principals: Arc::new(self.naming.principals(claims)?),
            from,
            until,
            keys: keys.hash,
        })
    }
}

impl Tokens for Verifier {
    fn verify(&self, token: &str) -> Result<Arc<Principals>, TokenRefusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenRefusal::Invalid("it is longer than 16 KiB"));
        }
        let now = self.clock.now();
        let keys = self.renewal.keys(now).ok_or(TokenRefusal::Unavailable)?;
        let hash = blake3::hash(token.as_bytes());
        let remembered = self.cache.lock().get(&hash);
        if let Some(known) = remembered.filter(|known| known.keys == keys.hash) {
            return good_at(known, now);
        }
        let known = self.check(token, &keys)?;
        let principals = good_at(known.clone(), now)?;
        self.cache.lock().insert(hash, known);
        Ok(principals)
    }

    fn renewed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.renewal.renewed())
    }
}

/// The principals of a token that is good by now and not yet expired.
fn good_at(known: Known, now: Instant) -> Result<Arc<Principals>, TokenRefusal> {
    if now >= known.until {
        return Err(TokenRefusal::Invalid("it has expired"));
    }
    if known.from.is_some_and(|from| now < from) {
        return Err(TokenRefusal::Invalid("it is not valid yet"));
    }
    Ok(known.principals)
}

/// Checks what a header must not say. The keys that it may bring along are never looked at.
fn check_header(header: &Header) -> Result<(), Why> {
    if header.crit.is_some() {
        return Err("its header demands what is not known here");
    }
    if header.enc.is_some() || header.zip.is_some() {
        return Err("it is encrypted or packed");
    }
    let kind = header.typ.as_deref().unwrap_or("JWT");
    let kind = kind.strip_prefix("application/").unwrap_or(kind);
    let is_access = ["JWT", "at+jwt"].iter();
    let mut is_access = is_access.filter(|known| known.eq_ignore_ascii_case(kind));
    is_access
        .next()
        .map(drop)
        .ok_or("its type is not JWT or at+jwt")
}

const WRONG_ISSUER: Why = "it is of another issuer";

/// What the library found, in words that hold nothing of the token.
fn why(kind: &ErrorKind) -> Why {
    match kind {
        ErrorKind::InvalidSignature => "its signature is wrong",
        ErrorKind::InvalidIssuer => WRONG_ISSUER,
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::MissingRequiredClaim(name) => match name.as_str() {
            "exp" => "it does not say when it expires",
            "iss" => "it does not say who made it",
            "aud" => "it does not say for whom it is",
            _ => "it lacks a claim",
        },
        ErrorKind::Json(_) | ErrorKind::Utf8(_) => {
            "its claims can't be read, or one stands there twice"
        }
        ErrorKind::Base64(_) => "it is no base64",
        _ => "it is malformed",
    }
}
