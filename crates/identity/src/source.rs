//! Where the provider's keys come from: a file, a URL, or what the issuer says about itself.
//! Owns the one way out to the network. Must not know what keys look like.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};
use url::{Host, Url};

use crate::config::{Config, ConfigError, check};

/// Longest answer of a provider, in bytes; so much of a file too.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// How long one request to a provider may take in all.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(5);
/// Where an issuer says what it is (OpenID Connect Discovery 1.0, section 4).
const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";

/// Says where keys are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    File(PathBuf),
    Url(Url),
    /// The issuer, and the document that says where its keys are.
    Issuer(String, Url),
}

impl Source {
    /// The source that a configuration names; `None` where no token is taken.
    pub(crate) fn of(config: &Config) -> Result<Option<Self>, ConfigError> {
        let Some(issuer) = &config.issuer else {
            return Ok(None);
        };
        let Some(jwks) = &config.jwks else {
            let expected = "an https:// URL, or set jwks";
            let text = format!("{}{DISCOVERY_PATH}", issuer.trim_end_matches('/'));
            let url = safe_url(&text);
            check(url.is_some(), "issuer", expected)?;
            return Ok(url.map(|url| Self::Issuer(issuer.clone(), url)));
        };
        if !jwks.contains("://") {
            check(!jwks.is_empty(), "jwks", "a URL or a file")?;
            return Ok(Some(Self::File(PathBuf::from(jwks))));
        }
        let url = safe_url(jwks);
        let expected = "https://, or http:// to this machine, or a file";
        check(url.is_some(), "jwks", expected)?;
        Ok(url.map(Self::Url))
    }

    /// Whether it lies on this machine's disk.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Reads the keys' text. It may take as long as two requests.
    ///
    /// # Errors
    /// What went wrong, in words for an operator.
    pub(crate) fn read(&self, agent: &Agent) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) => {
                let read = File::open(path).and_then(|file| {
                    let mut text = Vec::new();
                    file.take(ANSWER_BYTES_MAX + 1).read_to_end(&mut text)?;
                    Ok(text)
                });
                let text = read.map_err(|error| format!("{}: {error}", path.display()))?;
                let is_short = u64::try_from(text.len()).is_ok_and(|len| len <= ANSWER_BYTES_MAX);
                let long = || format!("{}: longer than 1 MiB", path.display());
                is_short.then_some(text).ok_or_else(long)
            }
            Self::Url(url) => get(agent, url),
            Self::Issuer(issuer, url) => get(agent, &keys_of(issuer, &get(agent, url)?)?),
        }
    }
}

/// Makes what speaks to providers. It follows no redirect and uses no proxy.
pub(crate) fn agent() -> Agent {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_global(Some(REQUEST_TIME_MAX))
        .max_idle_connections(0)
        .user_agent("sanntid")
        .build()
        .new_agent()
}

fn get(agent: &Agent, url: &Url) -> Result<Vec<u8>, String> {
    let failed = |error: ureq::Error| format!("{url}: {error}");
    let mut answer = agent.get(url.as_str()).call().map_err(failed)?;
    let status = answer.status().as_u16();
    if status != 200 {
        return Err(format!("{url}: answered {status}"));
    }
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
    body.read_to_vec().map_err(failed)
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// Where an issuer's keys are, as its document says; that of another issuer says nothing.
fn keys_of(issuer: &str, document: &[u8]) -> Result<Url, String> {
    let read: Discovery = serde_json::from_slice(document)
        .map_err(|error| format!("the document of {issuer} can't be read: {error}"))?;
    if read.issuer != issuer {
        return Err(format!("the document of {issuer} is of another issuer"));
    }
    let unsafe_url = || format!("the keys of {issuer} are at no https:// URL");
    safe_url(&read.jwks_uri).ok_or_else(unsafe_url)
}

/// Reads a URL whose answers nobody on the way can change: of TLS, or of this machine.
fn safe_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_here = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_here);
    let is_bare = url.username().is_empty() && url.password().is_none();
    (is_safe && is_bare).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_where_nobody_can_change_them_on_the_way() {
        for good in [
            "https://login.example.com/keys?v=2",
            "http://localhost:1/keys",
            "http://127.0.0.1/keys",
            "http://127.8.8.8:80/",
            "http://[::1]:8080/keys",
        ] {
            assert!(safe_url(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "keys",
            "http://example.com/keys",
            "http://10.0.0.1/keys",
            "http://localhost.example.com/",
            "https://user:word@example.com/",
            "ftp://localhost/keys",
            "file:///keys.json",
            "https://",
        ] {
            assert!(safe_url(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_issuer_speaks_for_itself_alone() {
        let issuer = "https://login.example.com";
        let good = br#"{"issuer": "https://login.example.com", "jwks_uri": "https://k.example.com/", "x": 1}"#;
        assert!(keys_of(issuer, good).is_ok());
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"issuer": "https://login.example.com"}"#,
            r#"{"issuer": "https://login.example.com/", "jwks_uri": "https://k.example.com/"}"#,
            r#"{"issuer": "https://other.example.com", "jwks_uri": "https://k.example.com/"}"#,
            r#"{"issuer": "https://login.example.com", "jwks_uri": "http://k.example.com/"}"#,
            r#"{"issuer": "https://login.example.com", "jwks_uri": "file:///etc/passwd"}"#,
        ] {
            assert!(keys_of(issuer, bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
