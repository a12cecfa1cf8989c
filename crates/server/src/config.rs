//! Owns the configuration: file < environment < flags, read into the crates' own types and checked.
//! The only reader of the environment. Must not act on what it reads.

mod layers;
mod typed;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, bail};
use serde::Deserialize;

use sanntid_types::Limits;

use crate::tls::TlsConfig;
use crate::wiring::{ActorsConfig, BucketSecret, HttpConfig, IdentityConfig, StoreConfig};

pub use layers::Flags;
pub use sanntid_types::Secret;

/// The environment, read once.
pub type Environment = BTreeMap<String, String>;

/// Holds everything that the server can be told.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Allows an address that other machines reach, although there is no TLS.
    pub insecure_listen: bool,
    /// The folder that holds everything durable.
    pub data_dir: PathBuf,
    /// The administrator's key, from the environment alone; else it stands in the data folder.
    #[serde(skip)]
    pub admin_key: Option<Secret>,
    /// The front door.
    pub http: HttpConfig,
    /// The certificate; without it there is no TLS.
    pub tls: TlsConfig,
    /// Whose tokens are taken.
    pub identity: IdentityConfig,
    /// The store.
    pub store: StoreConfig,
    /// The tenants.
    pub actors: ActorsConfig,
    /// What buckets are read with, by name.
    pub secrets: BTreeMap<String, BucketSecret>,
    /// What instances and callers may use, but where an instance has limits of its own.
    pub limits: Limits,
    /// What is logged, and how.
    pub log: LogConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            insecure_listen: false,
            data_dir: PathBuf::from("sanntid-data"),
            admin_key: None,
            http: HttpConfig::default(),
            tls: TlsConfig::default(),
            identity: IdentityConfig::default(),
            store: StoreConfig::default(),
            actors: ActorsConfig::default(),
            secrets: BTreeMap::new(),
            limits: Limits::default(),
            log: LogConfig::default(),
        }
    }
}

/// Says what is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// A level, or directives such as `info,sanntid_http=debug`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info,actix_server=warn,delta_kernel=warn".to_owned(),
            format: LogFormat::Auto,
        }
    }
}

/// Says how a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

impl Config {
    /// Reads all layers and checks the result.
    ///
    /// # Errors
    /// Names the key, its layer, and what was expected.
    pub fn load(flags: &Flags, environment: &Environment) -> anyhow::Result<Self> {
        let layers = layers::Layers::collect(flags, environment)?;
        let mut config: Self = layers.read()?;
        config.admin_key = environment.get(ADMIN_KEY_VARIABLE).map(Secret::new);
        config.validate()?;
        Ok(config)
    }

    /// Checks what a single value can't know.
    ///
    /// # Errors
    /// Names the key and what was expected.
    pub fn validate(&self) -> anyhow::Result<()> {
        let is_open = !self.listen.ip().is_loopback();
        if is_open && !self.tls.is_on() && !self.insecure_listen {
            bail!(
                "listen: other machines reach {}, and without TLS they could read keys and \
                 customer data on the way; set tls.certificate and tls.key, listen on \
                 127.0.0.1 behind a TLS proxy, or say \
                 --insecure-listen",
                self.listen
            );
        }
        if self.data_dir.as_os_str().is_empty() {
            bail!("data_dir: expected a folder");
        }
        if let Some(key) = &self.admin_key {
            crate::admin_key::check(key).context(ADMIN_KEY_VARIABLE)?;
        }
        self.http.validate().context("[http]")?;
        self.tls.validate().context("[tls]")?;
        self.identity.validate().context("[identity]")?;
        self.store.validate().context("[store]")?;
        self.actors.validate().context("[actors]")?;
        let limits = self.limits.check();
        limits.map_err(|error| anyhow::anyhow!("limits.bytes_per_second: {}", error.message))?;
        for (name, secret) in &self.secrets {
            check_secret_name(name)?;
            let valid = secret.validate().map_err(anyhow::Error::msg);
            valid.with_context(|| format!("[secrets.{name}]"))?;
        }
        crate::logging::check(&self.log).context("log.level")
    }
}

/// The name stands in calls and messages.
fn check_secret_name(name: &str) -> anyhow::Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if (1..=64).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    bail!("secrets.{name}: expected a name of 1 to 64 letters, digits, - and _")
}

/// The variable that holds the administrator's key.
pub(crate) const ADMIN_KEY_VARIABLE: &str = "SANNTID_ADMIN_KEY";

/// Reads the variables that are ours.
///
/// # Errors
/// A value that is not UTF-8.
pub(crate) fn environment() -> anyhow::Result<Environment> {
    let ours = |name: &std::ffi::OsString| name.to_str().is_some_and(|n| n.starts_with("SANNTID_"));
    std::env::vars_os()
        .filter(|(name, _)| ours(name))
        .map(|(name, value)| {
            let name = name.to_string_lossy().into_owned();
            match value.into_string() {
                Ok(value) => Ok((name, value)),
                Err(_) => bail!("{name}: expected UTF-8"),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
