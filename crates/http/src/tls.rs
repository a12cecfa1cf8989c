//! The server's certificate and its key, which can be replaced while connections come in.
//! Must not read files: the server does that and hands their texts over.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};

/// Most certificates of one chain.
const CHAIN_MAX: usize = 10;

/// Holds the certificate in use; clones share it.
#[derive(Clone)]
pub struct Tls(Arc<Current>);

struct Current(ArcSwap<CertifiedKey>);

impl Tls {
    /// Takes a chain of certificates, the server's own first, and its private key, both as PEM.
    ///
    /// # Errors
    /// [`TlsError`] says what is wrong with them.
    pub fn new(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let pair = pair(certificate, key)?;
        Ok(Self(Arc::new(Current(ArcSwap::from_pointee(pair)))))
    }

    /// Takes another pair for the connections that come from now on. A bad one changes nothing.
    ///
    /// # Errors
    /// As for [`Tls::new`].
    pub fn replace(&self, certificate: &[u8], key: &[u8]) -> Result<(), TlsError> {
        self.0.0.store(Arc::new(pair(certificate, key)?));
        Ok(())
    }

    /// How connections are secured: TLS 1.2 or 1.3, and HTTP/2 before HTTP/1.1.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has suites of both versions");
        let resolver = Arc::clone(&self.0);
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(redacted)")
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current(redacted)")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Says what is wrong with a certificate or its key. Holds nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// There is none, or it can't be read.
    #[error("the certificate is no PEM text of 1 to {CHAIN_MAX} certificates")]
    Certificate,
    /// There is none, or it can't be read.
    #[error("the key is no PEM text of a private key (PKCS#8, PKCS#1 or SEC1, not encrypted)")]
    Key,
    /// Of a kind that is not taken.
    #[error(
        "the key is of a kind that is not taken: use ECDSA (P-256, P-384), Ed25519 or RSA of 2048 bits or more"
    )]
    KeyKind,
    /// Each is good, for another.
    #[error("the key is not that of the first certificate")]
    Mismatch,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn pair(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, TlsError> {
    let chain = CertificateDer::pem_slice_iter(certificate).take(CHAIN_MAX + 1);
    let chain: Vec<_> = chain
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::Certificate)?;
    if chain.is_empty() || chain.len() > CHAIN_MAX {
        return Err(TlsError::Certificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Key)?;
    let provider = provider();
    let key = provider.key_provider.load_private_key(key);
    let pair = CertifiedKey::new(chain, key.map_err(|_| TlsError::KeyKind)?);
    match pair.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::Mismatch),
        Err(_) => Err(TlsError::Certificate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_bad_pair_says_what_is_wrong_and_the_old_one_stays() {
        let (certificate, key) = made();
        let (_, other_key) = made();
        let tls = Tls::new(certificate.as_bytes(), key.as_bytes()).expect("a good pair");
        let before = tls.0.0.load_full();
        let many = certificate.repeat(CHAIN_MAX + 1);
        let rubbish = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (certificate, key, error) in [
            ("", key.as_str(), TlsError::Certificate),
            ("rubbish", &key, TlsError::Certificate),
            (rubbish, &key, TlsError::Certificate),
            (&many, &key, TlsError::Certificate),
            (&certificate, "", TlsError::Key),
            (&certificate, &certificate, TlsError::Key),
            (&certificate, &other_key, TlsError::Mismatch),
        ] {
            let replaced = tls.replace(certificate.as_bytes(), key.as_bytes());
            assert_eq!(replaced, Err(error));
        }
        assert!(Arc::ptr_eq(&before, &tls.0.0.load_full()));
        let (certificate, key) = made();
        tls.replace(certificate.as_bytes(), key.as_bytes())
            .expect("a good pair");
        assert!(!Arc::ptr_eq(&before, &tls.0.0.load_full()));
        assert!(!format!("{tls:?}").contains("PRIVATE"));
    }
}
