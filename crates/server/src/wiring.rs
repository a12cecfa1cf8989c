//! Owns the wiring: the one place where store, tenants, front door and snapshot readers meet.
//! Must not decide anything; everything else of the server speaks to the crates through it.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use sanntid_engine::Tokens;
use sanntid_store::{Expiry, FjallKv, Reclaim};
use sanntid_types::{Clock, Manifest};

use crate::config::{Config, Secret};
use crate::metrics::Recorder;
use crate::push::{Part, PartKind, PartPacking};

pub(crate) use sanntid_actors::Config as ActorsConfig;
pub(crate) use sanntid_http::{Config as HttpConfig, Tls};
pub(crate) use sanntid_identity::Config as IdentityConfig;
pub(crate) use sanntid_sources::BucketSecret;
pub(crate) use sanntid_store::Config as StoreConfig;

use sanntid_actors::Node;
use sanntid_http::{AdminKey, Front, Server};
use sanntid_identity::Verifier;

/// How long the front door may take to answer what it has accepted, whatever it was told: it can't
/// be hurried any more once it stops.
const FRONT_ANSWER_MAX: Duration = Duration::from_secs(4);
/// How long the front door may take to end; it looks at its time once a second.
const FRONT_STOP_MAX: Duration = Duration::from_secs(6);
/// How long the tenants may take to finish accepted writes.
const NODE_STOP_MAX: Duration = Duration::from_secs(3);
/// The folder of the store within the data folder.
const STORE_FOLDER: &str = "store";

/// Holds the running parts, from the disk up to the tenants.
pub(crate) struct Stack {
    store: Arc<FjallKv>,
    node: Arc<Node>,
    tokens: Option<Arc<dyn Tokens>>,
    clock: Arc<dyn Clock>,
}

impl Stack {
    /// Opens the store and starts the tenants. Runs inside the runtime.
    pub(crate) fn open(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let data_dir = config.data_dir.as_path();
        let what = || format!("the data folder {} can't be used", data_dir.display());
        std::fs::create_dir_all(data_dir).with_context(what)?;
        let tokens = tokens(&config.identity, Arc::clone(&clock))?;
        let expiry = Expiry::new(Arc::clone(&clock));
        let reclaim: Arc<dyn Reclaim> = expiry.clone();
        let store = FjallKv::open(
            data_dir.join(STORE_FOLDER),
            config.store.clone(),
            Some(reclaim),
        );
        let store = Arc::new(store.map_err(|error| match error {
            sanntid_store::Error::Locked => anyhow!(
                "the data folder {} is in use by another sanntid",
                data_dir.display()
            ),
            other => anyhow!(other).context(what()),
        })?);
        let actors = ActorsConfig {
            secrets: config.secrets.clone(),
            limits: config.limits,
            ..config.actors.clone()
        };
        let kv: Arc<dyn sanntid_store::Kv> = store.clone();
        let node =
            Node::start(actors, kv, data_dir, Arc::clone(&clock), expiry).with_context(what)?;
        Ok(Self {
            store,
            node,
            tokens,
            clock,
        })
    }

    /// Opens the front door.
    pub(crate) fn serve(
        &self,
        listener: TcpListener,
        config: &Config,
        tls: Option<Tls>,
        key: &Secret,
        recorder: Recorder,
    ) -> io::Result<Server> {
        let answer_max = config.http.shutdown_timeout.min(FRONT_ANSWER_MAX);
        let front = Front {
            tenants: self.node.clone(),
            access: self.node.clone(),
            audit: self.node.clone(),
            keys: AdminKey::new(key.expose()),
            tokens: self.tokens.clone(),
            metrics: Arc::new(move || recorder.render()),
            parquet: sanntid_sources::write_parquet,
            tls,
            clock: Arc::clone(&self.clock),
            limits: config.limits,
            config: HttpConfig {
                shutdown_timeout: answer_max,
                ..config.http.clone()
            },
        };
        sanntid_http::serve(listener, front)
    }

    /// Finishes accepted writes and closes the store.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        within(NODE_STOP_MAX, "the tenants", self.node.stop()).await;
        drop(self.node);
        self.store.close().context("the store can't be closed")
    }
}

/// Starts what checks tokens, where an issuer is set.
fn tokens(
    config: &IdentityConfig,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Option<Arc<dyn Tokens>>> {
    let verifier = Verifier::start(config, clock).context("[identity]")?;
    Ok(verifier.map(|verifier| -> Arc<dyn Tokens> { Arc::new(verifier) }))
}

/// Closes the front door: accepts nothing more and answers what was accepted.
pub(crate) async fn stop_front(stopper: &sanntid_http::Stopper) {
    within(FRONT_STOP_MAX, "the front door", stopper.stop(true)).await;
}

/// Whether a panic of this thread says that a file is corrupt, and nothing else.
pub(crate) fn is_expected_panic() -> bool {
    sanntid_sources::is_guarded()
}

/// Reads a snapshot's manifest and finds its files, in `files` where that is given.
pub(crate) fn snapshot_folder(
    manifest: &Path,
    files: Option<&Path>,
) -> anyhow::Result<(Manifest, Vec<Part>)> {
    let folder = match files {
        Some(files) => sanntid_sources::Folder::open_with_files(manifest, files),
        None => sanntid_sources::Folder::open(manifest),
    }?;
    // Its files alone are not its rows: the log knows which of them are deleted, and some columns.
    let of_table = |file: &&sanntid_sources::EntityFile| file.table_version().is_some();
    if let Some(file) = folder.files().iter().find(of_table) {
        let entity = &file.entity;
        return Err(anyhow!(
            "the files of the entity {entity} are a Delta table, which can't be uploaded; let a \
             data source read it where it lies"
        ));
    }
    let parts = folder.files().iter().map(part).collect();
    Ok((folder.manifest, parts))
}

fn part(file: &sanntid_sources::EntityFile) -> Part {
    use sanntid_sources::{FileKind, Packing};
    let kind = match file.format.kind {
        FileKind::Csv => PartKind::Csv,
        FileKind::Ndjson => PartKind::Ndjson,
        FileKind::Parquet => PartKind::Parquet,
    };
    let packing = match file.format.packing {
        Packing::None => PartPacking::None,
        Packing::Gzip => PartPacking::Gzip,
        Packing::Zstd => PartPacking::Zstd,
    };
    Part {
        entity: file.entity.clone(),
        path: file.path.clone(),
        kind,
        packing,
        bytes: file.bytes,
    }
}

/// Waits at most `span`; says whether that was enough.
async fn within(span: Duration, who: &str, work: impl Future<Output = ()>) -> bool {
    let done = tokio::time::timeout(span, work).await.is_ok();
    if !done {
        tracing::warn!(who, "did not stop in time");
    }
    done
}
