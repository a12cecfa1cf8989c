//! Owns the client's connections: how long they wait, and whose certificates they trust.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long the server may be silent; a commit waits for a disk, nothing waits for a job.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Idle connections are given up before the server does so.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// Makes an agent. It trusts these authorities, or else those that browsers do.
pub(super) fn agent(authorities: Option<Vec<Certificate<'static>>>) -> Agent {
    let tls = match authorities {
        Some(authorities) => TlsConfig::builder().root_certs(RootCerts::from(authorities)),
        None => TlsConfig::builder(),
    };
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(CONNECT_MAX))
        .timeout_recv_response(Some(SILENCE_MAX))
        .timeout_per_read(Some(SILENCE_MAX))
        .timeout_per_write(Some(SILENCE_MAX))
        .max_idle_age(IDLE_MAX)
        .user_agent(concat!("sanntid/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls.build())
        .build()
        .new_agent()
}

/// Reads the certificates of a PEM text; `None` where there is none, or one that can't be read.
pub(super) fn authorities(pem: &[u8]) -> Option<Vec<Certificate<'static>>> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.ok()? {
            found.push(certificate);
        }
    }
    (!found.is_empty()).then_some(found)
}
