//! Owns the files of the server's certificate and key: reads them, and looks whether they changed.
//! Must not decide how a connection is secured: the front door does.

use std::future::poll_fn;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior};

use crate::wiring::Tls;

/// Largest file of a certificate with its chain, or of a key.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Says where the certificate is, and how often it is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate and those that vouch for it, as PEM; with it nothing is spoken but TLS.
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, as PEM.
    pub key: Option<PathBuf>,
    /// How often both files are looked at; they are also on SIGHUP.
    pub reload_every: Duration,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            reload_every: Duration::from_secs(60),
        }
    }
}

impl TlsConfig {
    /// Whether TLS is spoken.
    pub fn is_on(&self) -> bool {
        self.certificate.is_some()
    }

    /// The scheme of the server's address.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.is_on() { "https" } else { "http" }
    }

    /// Checks what a single value can't know.
    ///
    /// # Errors
    /// Names the key and what was expected.
    pub(crate) fn validate(&self) -> anyhow::Result<()> {
        if self.certificate.is_some() != self.key.is_some() {
            bail!("certificate and key: expected both or neither");
        }
        let range = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
        if !range.contains(&self.reload_every) {
            bail!("reload_every: expected 1 s to 24 h");
        }
        Ok(())
    }
}

/// Holds the pair in use, and knows where the next comes from.
pub(crate) struct Certificate {
    tls: Tls,
    certificate: PathBuf,
    key: PathBuf,
    reload_every: Duration,
    /// Of what was read last, good or bad: the same is not tried twice.
    seen: blake3::Hash,
    hangup: Signal,
}

impl Certificate {
    /// Reads the pair; `None` where there is to be no TLS. Runs inside the runtime.
    ///
    /// # Errors
    /// A file that can't be read, or a pair that can't be used.
    pub(crate) fn open(config: &TlsConfig) -> anyhow::Result<Option<Self>> {
        let (Some(certificate), Some(key)) = (&config.certificate, &config.key) else {
            return Ok(None);
        };
        let pair = Pair::read(certificate, key)?;
        let what = || {
            let (certificate, key) = (certificate.display(), key.display());
            format!("the certificate {certificate} with the key {key} can't be used")
        };
        Ok(Some(Self {
            tls: Tls::new(&pair.certificate, &pair.key).with_context(what)?,
            certificate: certificate.clone(),
            key: key.clone(),
            reload_every: config.reload_every,
            seen: pair.hash(),
            hangup: signal(SignalKind::hangup()).context("signals can't be received")?,
        }))
    }

    /// What the front door serves with; it changes with the files.
    pub(crate) fn tls(&self) -> Tls {
        self.tls.clone()
    }

    /// Looks at the files again and again. A bad pair is logged, and the old one goes on.
    pub(crate) async fn watch(mut self) {
        let mut every = tokio::time::interval(self.reload_every);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            next(&mut every, &mut self.hangup).await;
            self.look();
        }
    }

    fn look(&mut self) {
        let pair = match Pair::read(&self.certificate, &self.key) {
            Ok(pair) => pair,
            Err(error) => {
                let reason = format!("{error:#}");
                return tracing::error!(
                    reason,
                    "the certificate can't be read; the old one goes on"
                );
            }
        };
        let hash = pair.hash();
        if hash == self.seen {
            return;
        }
        self.seen = hash;
        match self.tls.replace(&pair.certificate, &pair.key) {
            Ok(()) => tracing::info!("a new certificate is used from now on"),
            Err(error) => {
                tracing::error!(%error, "the new certificate can't be used; the old one goes on");
            }
        }
    }
}

/// Waits for the time or for the signal, whichever comes first.
async fn next(every: &mut Interval, hangup: &mut Signal) {
    poll_fn(|context| {
        if every.poll_tick(context).is_ready() || hangup.poll_recv(context).is_ready() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Pair {
    fn read(certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            certificate: read(certificate)?,
            key: read(key)?,
        })
    }

    fn hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.certificate);
        hasher.update(b"\0");
        hasher.update(&self.key);
        hasher.finalize()
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let what = || format!("{} can't be read", path.display());
    let file = std::fs::File::open(path).with_context(what)?;
    let mut bytes = Vec::new();
    let mut limited = file.take(FILE_BYTES_MAX + 1);
    limited.read_to_end(&mut bytes).with_context(what)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        bail!("{} is larger than 1 MiB", path.display());
    }
    Ok(bytes)
}
