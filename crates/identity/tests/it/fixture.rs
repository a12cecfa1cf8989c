//! A verifier before a file of keys, and a clock to set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sanntid_engine::{TokenRefusal, Tokens as _};
use sanntid_identity::{Config, Verifier};
use sanntid_types::{Clock, Instant};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::signer::Signer;

pub(crate) const ISSUER: &str = "https://login.example.com/contoso";
pub(crate) const AUDIENCE: &str = "api://sanntid";
/// When every test begins, in seconds.
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(NOW * 1000)))
    }

    pub(crate) fn advance(&self, span: Duration) {
        let millis = i64::try_from(span.as_millis()).unwrap();
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the second of the test.
    pub(crate) fn set(&self, seconds: i64) {
        self.0.store((NOW + seconds) * 1000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        Instant::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// The settings of a test, but for where the keys are.
pub(crate) fn config() -> Config {
    Config {
        issuer: Some(ISSUER.to_owned()),
        audience: vec![AUDIENCE.to_owned(), "another".to_owned()],
        ..Config::default()
    }
}

/// What a good token of a user says.
pub(crate) fn claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 3600, "nbf": NOW - 10, "sub": "ada"})
}

/// Changes a good token's claims; `null` takes one away.
pub(crate) fn claims_with(changes: &Value) -> Value {
    let mut all = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            all.as_object_mut().unwrap().remove(name);
        } else {
            all[name] = value.clone();
        }
    }
    all
}

pub(crate) fn key_set(signers: &[&Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

/// A verifier whose keys lie in a file.
pub(crate) struct Fixture {
    pub(crate) verifier: Verifier,
    pub(crate) clock: Arc<TestClock>,
    file: NamedTempFile,
}

impl Fixture {
    pub(crate) fn new(signers: &[&Signer]) -> Self {
        Self::with(signers, |_| ())
    }

    pub(crate) fn with(signers: &[&Signer], change: impl FnOnce(&mut Config)) -> Self {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), key_set(signers)).unwrap();
        let clock = TestClock::new();
        let mut config = Config {
            jwks: Some(file.path().to_str().unwrap().to_owned()),
            ..config()
        };
        change(&mut config);
        let verifier = Verifier::start(&config, clock.clone()).unwrap().unwrap();
        Self {
            verifier,
            clock,
            file,
        }
    }

    pub(crate) fn replace_keys(&self, text: &str) {
        std::fs::write(self.file.path(), text).unwrap();
    }

    pub(crate) fn ask(&self, token: &str) -> Result<String, TokenRefusal> {
        ask(&self.verifier, token)
    }
}

/// Asks whose a token is, as the front door does.
pub(crate) fn ask(verifier: &Verifier, token: &str) -> Result<String, TokenRefusal> {
    let mut verified = verifier.verify(token);
    if let Err(TokenRefusal::UnknownKey | TokenRefusal::Unavailable) = verified {
        wait(verifier);
        verified = verifier.verify(token);
    }
    verified.map(|principals| principals.name())
}

/// Waits for keys as the front door does.
pub(crate) fn wait(verifier: &Verifier) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    runtime.block_on(verifier.renewed());
}
