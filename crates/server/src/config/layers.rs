//! Owns the order of the layers and remembers which layer set which key.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;

use super::typed::Typed;
use super::{Config, Environment};

const SECTIONS: [&str; 7] = [
    "http", "tls", "identity", "store", "actors", "secrets", "log",
];
/// The keys of a secret; of two that end alike the longer one comes first.
const SECRET_KEYS: [&str; 9] = [
    "secret_access_key",
    "access_key_id",
    "access_key",
    "session_token",
    "region",
    "account",
    "sas",
    "endpoint",
    "allow_http",
];
const TOP_LEVEL: [&str; 3] = ["listen", "insecure_listen", "data_dir"];

/// Holds what the command line says about the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Flags {
    /// Reads this TOML file first; environment and flags win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder that holds everything durable [default: sanntid-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Allows to listen where other machines reach it, without TLS
    #[arg(long)]
    pub insecure_listen: bool,
    /// Sets any key of the configuration, as in `store.cache_bytes=1GiB`; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Holds all layers laid over each other, values still as they were written.
pub(super) struct Layers {
    tree: toml::Table,
    /// Dotted key → who set it last.
    origins: BTreeMap<String, String>,
}

impl Layers {
    pub(super) fn collect(flags: &Flags, environment: &Environment) -> anyhow::Result<Self> {
        let mut layers = Self {
            tree: toml::Table::new(),
            origins: BTreeMap::new(),
        };
        let named = environment.get("SANNTID_CONFIG").map(PathBuf::from);
        if let Some(path) = flags.config.clone().or(named) {
            let what = || format!("the config file {} can't be used", path.display());
            let text = std::fs::read_to_string(&path).with_context(what)?;
            layers.tree = text.parse().with_context(what)?;
            let origin = format!("the config file {}", path.display());
            layers.note_origins(&origin);
        }
        for (name, value) in environment {
            if let Some(key) = key_of_variable(name) {
                layers.set(&key, value, name)?;
            }
        }
        for pair in &flags.set {
            let Some((key, value)) = pair.split_once('=') else {
                bail!("--set {pair}: expected key=value");
            };
            let origin = match key.trim().starts_with("secrets.") {
                true => format!("--set {}", key.trim()),
                false => format!("--set {pair}"),
            };
            layers.set(key.trim(), value, &origin)?;
        }
        if let Some(data_dir) = &flags.data_dir {
            let text = data_dir.to_str().context("--data-dir: expected UTF-8")?;
            layers.set("data_dir", text, "--data-dir")?;
        }
        if let Some(listen) = flags.listen {
            layers.set("listen", &listen.to_string(), "--listen")?;
        }
        if flags.insecure_listen {
            layers.set("insecure_listen", "true", "--insecure-listen")?;
        }
        Ok(layers)
    }

    pub(super) fn read(self) -> anyhow::Result<Config> {
        let value = toml::Value::Table(self.tree);
        let typed = Typed {
            value: &value,
            path: String::new(),
        };
        Config::deserialize(typed).map_err(|error| match self.origins.get(&error.path) {
            Some(origin) => anyhow!("{error} (set by {origin})"),
            None => anyhow!("{error}"),
        })
    }

    fn set(&mut self, key: &str, value: &str, origin: &str) -> anyhow::Result<()> {
        let mut words: Vec<&str> = key.split('.').collect();
        let last = words.pop().unwrap_or_default();
        let mut table = &mut self.tree;
        for word in words {
            let entry = table
                .entry(word)
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
            table = entry
                .as_table_mut()
                .ok_or_else(|| anyhow!("{origin}: {word} is no section"))?;
        }
        table.insert(last.to_owned(), toml::Value::String(value.to_owned()));
        self.origins.insert(key.to_owned(), origin.to_owned());
        Ok(())
    }

    fn note_origins(&mut self, origin: &str) {
        for (key, value) in &self.tree {
            self.origins.insert(key.clone(), origin.to_owned());
            for inner in value.as_table().into_iter().flat_map(toml::Table::keys) {
                let path = format!("{key}.{inner}");
                self.origins.insert(path, origin.to_owned());
            }
        }
    }
}

/// `SANNTID_STORE_CACHE_BYTES` → `store.cache_bytes`; `None` for variables that are no keys, such
/// as those that an orchestrator makes for a service of our name.
fn key_of_variable(name: &str) -> Option<String> {
    let key = name.strip_prefix("SANNTID_")?.to_ascii_lowercase();
    if TOP_LEVEL.contains(&key.as_str()) {
        return Some(key);
    }
    let (section, rest) = key.split_once('_')?;
    if section == "secrets" {
        return Some(key_of_secret(rest));
    }
    SECTIONS
        .contains(&section)
        .then(|| format!("{section}.{rest}"))
}

/// `nightly_access_key_id` → `secrets.nightly.access_key_id`.
fn key_of_secret(rest: &str) -> String {
    let name_of = |key: &&str| rest.strip_suffix(*key)?.strip_suffix('_');
    let found = SECRET_KEYS
        .iter()
        .find_map(|key| Some((name_of(key)?, key)));
    match found {
        Some((name, key)) => format!("secrets.{name}.{key}"),
        None => format!("secrets.{rest}"),
    }
}
