//! Owns an identity provider: a key that signs tokens, and the file that tells it to servers.
//! Must not serve anything.

use std::fs;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use sanntid_server::Config;
use serde_json::{Value, json};
use tempfile::TempDir;

const ISSUER: &str = "https://login.example.com/contoso";
const AUDIENCE: &str = "api://sanntid";

/// An identity provider; its file ends with it.
pub struct IdentityProvider {
    key: EcdsaKeyPair,
    /// How many keys it had before this one.
    number: u32,
    folder: TempDir,
}

impl IdentityProvider {
    /// Makes a key and its file.
    pub fn new() -> Self {
        let provider = Self {
            key: key(),
            number: 0,
            folder: tempfile::tempdir().unwrap(),
        };
        provider.publish();
        provider
    }

    /// Has a server trust it.
    pub fn configure(&self, config: &mut Config) {
        config.identity.issuer = Some(ISSUER.to_owned());
        config.identity.audience = vec![AUDIENCE.to_owned()];
        config.identity.jwks = Some(self.path());
    }

    /// Makes another key, and tells that one alone.
    pub fn rotate(&mut self) {
        self.key = key();
        self.number += 1;
        self.publish();
    }

    /// Signs claims; the provider, the audience and an expiry are added where they lack.
    pub fn token(&self, claims: &Value) -> String {
        // The year 2100: later than any simulated clock goes.
        let mut all = json!({"iss": ISSUER, "aud": AUDIENCE, "exp": 4_102_444_800_i64});
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": self.kid()});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(&all));
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.unwrap()))
    }

    fn path(&self) -> String {
        let path = self.folder.path().join("keys.json");
        path.to_str().unwrap().to_owned()
    }

    fn kid(&self) -> String {
        format!("key {}", self.number)
    }

    fn publish(&self) {
        let public = self.key.public_key().as_ref();
        // One byte says that both coordinates follow.
        let (x, y) = public[1..].split_at(32);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "kid": self.kid(),
            "x": encode(x), "y": encode(y)
        });
        fs::write(self.path(), json!({"keys": [jwk]}).to_string()).unwrap();
    }
}

impl Default for IdentityProvider {
    fn default() -> Self {
        Self::new()
    }
}

fn key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let made = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(signing, made.as_ref(), &random).unwrap()
}
