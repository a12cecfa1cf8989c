//! Owns one node in a world of its own: store, clock, folder, and instances with customers and
//! orders. Must not check anything by itself but that calls which always work do.

use std::{
    future::Future,
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

use sanntid_engine::{
    AppendAnswer, AppendCall, CallError, NewInstance, PartFormat, PatchAnswer, PatchCall, Reading,
    Tenants, TimelineQuery, profile, timeline,
};
use sanntid_store::{Expiry, Kv, MemoryKv, catalog};
use sanntid_types::{
    Clock, EntityName, Error, ErrorCode, InstanceId, InstanceName, InstanceType, Instant, Job,
    JobId, Manifest, SnapshotId,
};
use tempfile::TempDir;

use super::{
    probe::{ProbeKv, SetClock},
    samples::{
        CSV, HEADER, ORDERS, ORDERS_HEADER, code, customers, id, manifest, noon, orders,
        orders_shown, profile_id, seconds,
    },
};
use crate::{
    Config, Node,
    registry::Look,
    tenant::{Change, Command},
};

pub(super) struct World {
    pub(super) node: Arc<Node>,
    pub(super) kv: Arc<ProbeKv>,
    pub(super) clock: Arc<SetClock>,
    pub(super) config: Config,
    pub(super) folder: TempDir,
}

/// Runs a test in an actix system.
pub(super) fn run(test: impl Future<Output = ()>) {
    actix_rt::System::new().block_on(test);
}

pub(super) fn memory() -> Arc<dyn Kv> {
    Arc::new(MemoryKv::new())
}

pub(super) fn config() -> Config {
    Config {
        // Rounds of upkeep are the tests' own.
        upkeep_every: seconds(3600),
        restart_delay_min: Duration::from_millis(1),
        restart_delay_max: Duration::from_millis(8),
        ..Config::default()
    }
}

/// Waits for what comes without an event; not for ever.
pub(super) async fn until(comes: impl Fn() -> bool) {
    let waited = tokio::time::timeout(seconds(20), async {
        while !comes() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("it comes in time");
}

/// Lets a call get to where it waits; it goes on when it is awaited.
pub(super) async fn begun<F: Future + Unpin>(mut call: F) -> F {
    let first = std::future::poll_fn(|context| {
        let poll = std::pin::Pin::new(&mut call).poll(context);
        std::task::Poll::Ready(poll.is_pending())
    });
    assert!(first.await, "it has to wait");
    call
}

/// Starts a node on a store.
pub(super) fn start(
    config: &Config,
    kv: &Arc<ProbeKv>,
    folder: &Path,
    clock: &Arc<SetClock>,
) -> Result<Arc<Node>, Error> {
    let (kv, clock): (Arc<dyn Kv>, Arc<SetClock>) = (kv.clone(), Arc::clone(clock));
    let expiry = Expiry::new(clock.clone());
    Node::start(config.clone(), kv, folder, clock, expiry)
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(config(), memory())
    }

    pub(super) fn with(config: Config, inner: Arc<dyn Kv>) -> Self {
        let (kv, clock) = (ProbeKv::around(inner), SetClock::at(noon()));
        let folder = tempfile::tempdir().expect("folder");
        let node = start(&config, &kv, folder.path(), &clock).expect("starts");
        Self {
            node,
            kv,
            clock,
            config,
            folder,
        }
    }

    /// Goes on with another node over the same data; nothing of what the old one has in hand or does
    /// at its end has an effect.
    pub(super) async fn crash(&mut self) {
        self.kv.cut();
        self.node.stop().await;
        self.kv = ProbeKv::around(Arc::clone(&self.kv.inner));
        self.start_again();
    }

    pub(super) async fn restart(&mut self) {
        self.node.stop().await;
        self.start_again();
    }

    fn start_again(&mut self) {
        let started = start(&self.config, &self.kv, self.folder.path(), &self.clock);
        self.node = started.expect("starts");
    }

    /// An instance with the customers `a` and `b`, whose contacts are `ka` and `kb`.
    pub(super) async fn instance(&self, number: u128) -> InstanceId {
        let id = self.empty_instance(number).await;
        let rows = "a,Oslo,1,ka,\nb,Bergen,2,kb,\n";
        let job = self.refresh(id, noon().minus(seconds(3600)), rows).await;
        assert_eq!(job.error, None);
        id
    }

    pub(super) async fn empty_instance(&self, number: u128) -> InstanceId {
        let new = NewInstance {
            id: Some(id(number)),
            name: InstanceName::parse("Contoso").expect("name"),
            instance_type: InstanceType::Sandbox,
            copy_of: None,
            by: super::me(),
        };
        self.node.create_instance(new).await.expect("created").id
    }

    pub(super) async fn configure_orders(&self, id: InstanceId) {
        let answer = self
            .node
            .set_activities(id, orders_shown(), super::me())
            .await;
        answer.expect("configured");
    }

    pub(super) async fn open(&self, id: InstanceId, manifest: Manifest) -> SnapshotId {
        self.node
            .open_snapshot(id, manifest, super::me())
            .await
            .expect("opened")
            .id
    }

    pub(super) async fn part(
        &self,
        id: InstanceId,
        upload: SnapshotId,
        entity: &str,
        (number, format): (u32, PartFormat),
        content: &[u8],
    ) -> Result<(), CallError> {
        let entity = EntityName::parse(entity).expect("name");
        let part = self
            .node
            .open_part(id, upload, entity, number, format, super::me());
        let mut part = part.await?;
        part.write(content)?;
        part.finish()
    }

    /// Uploads customers, whose rows are given without their header, up to the commit.
    pub(super) async fn upload(&self, id: InstanceId, as_of: Instant, rows: &str) -> Job {
        self.upload_with(id, as_of, Some(rows), None).await
    }

    pub(super) async fn upload_with(
        &self,
        id: InstanceId,
        as_of: Instant,
        customer_rows: Option<&str>,
        order_rows: Option<&str>,
    ) -> Job {
        let mut entities = Vec::new();
        entities.extend(customer_rows.map(|_| customers()));
        entities.extend(order_rows.map(|_| orders()));
        let upload = self.open(id, manifest(as_of, entities)).await;
        let parts = [
            ("Customer", HEADER, customer_rows),
            (ORDERS, ORDERS_HEADER, order_rows),
        ];
        for (entity, header, rows) in parts {
            if let Some(rows) = rows {
                let content = format!("{header}{rows}");
                let sent = self.part(id, upload, entity, (1, CSV), content.as_bytes());
                sent.await.expect("taken");
            }
        }
        let job = self.node.commit_snapshot(id, upload, super::me()).await;
        job.expect("committed")
    }

    pub(super) async fn refresh(&self, id: InstanceId, as_of: Instant, rows: &str) -> Job {
        let job = self.upload(id, as_of, rows).await;
        self.ended(id, job.id).await
    }

    pub(super) async fn refresh_with(
        &self,
        id: InstanceId,
        as_of: Instant,
        customer_rows: Option<&str>,
        order_rows: Option<&str>,
    ) -> Job {
        let job = self.upload_with(id, as_of, customer_rows, order_rows).await;
        self.ended(id, job.id).await
    }

    /// Waits until a job has ended.
    pub(super) async fn ended(&self, id: InstanceId, job: JobId) -> Job {
        let mut ended = self.node.shared.refreshes.ended.subscribe();
        loop {
            let found = self.node.job(id, job).await.expect("a job");
            // Its record comes first, then what it leaves behind is removed.
            let runs = self.node.shared.refreshes.progress(id, job).is_some();
            if found.status.is_ended() && !runs {
                return found;
            }
            ended.changed().await.unwrap();
        }
    }

    pub(super) async fn patch(&self, id: InstanceId, call: PatchCall) -> PatchAnswer {
        self.node.patch(id, call).await.expect("accepted")
    }

    pub(super) async fn append(&self, id: InstanceId, call: AppendCall) -> AppendAnswer {
        self.node.append(id, call).await.expect("accepted")
    }

    pub(super) async fn read(&self, id: InstanceId) -> Reading {
        self.node.read(id).await.expect("readable")
    }

    /// A profile's id and the value of `City` as shown.
    pub(super) async fn shown(&self, id: InstanceId, asked: &str) -> Option<(String, String)> {
        let Reading { tenant, view, now } = self.read(id).await;
        let found = profile(&*view, &tenant, now, &profile_id(asked)).expect("readable")?;
        let (city, _) = found.schema.find("City").expect("declared");
        let text = found.json(city).trim_matches('"').to_owned();
        Some((found.id.to_string(), text))
    }

    pub(super) async fn city(&self, id: InstanceId, asked: &str) -> Option<String> {
        self.shown(id, asked).await.map(|(_, city)| city)
    }

    /// The ids of a profile's activities, and whether the source brought them.
    pub(super) async fn timeline(&self, id: InstanceId, asked: &str) -> Vec<(String, bool)> {
        let Reading { tenant, view, now } = self.read(id).await;
        let all = TimelineQuery::default();
        let entries = timeline(&*view, &tenant, now, &profile_id(asked), all).expect("readable");
        entries
            .map(|entry| entry.expect("readable"))
            .map(|entry| (entry.activity.id.to_string(), entry.realtime.is_none()))
            .collect()
    }

    /// The position of the instance's last write, as stored.
    pub(super) fn position(&self, id: InstanceId) -> u64 {
        let snapshot = self.kv.inner.snapshot().expect("readable");
        let record = catalog::instance(&*snapshot, id).expect("readable");
        let incarnation = record.expect("an instance").incarnation;
        let state = catalog::tenant(&*snapshot, incarnation).expect("readable");
        state.expect("a tenant").position.0
    }

    pub(super) fn wait(&self, span: Duration) {
        self.clock.set(self.clock.now().plus(span));
    }

    /// Makes the instance's tenant panic; the call is answered as those are.
    pub(super) async fn panic(&self, id: InstanceId) -> Option<ErrorCode> {
        let fail = |_: &mut Change<'_>| -> Result<(), Error> { panic!("as planned") };
        let call = self.node.shared.change(id, fail);
        self.crashing(id, async { code(call.await) }).await
    }

    /// As `panic`, with whatever is staged at that time.
    pub(super) async fn fail(&self, id: InstanceId) -> Option<ErrorCode> {
        let call = self.node.shared.call(id, || Command::Fail);
        self.crashing(id, async { code(call.await) }).await
    }

    /// Waits for the registry, too: the caller may hear of a panic first.
    pub(super) async fn crashing<T>(&self, id: InstanceId, call: impl Future<Output = T>) -> T {
        let mut changing = self.node.shared.registry.changing(id).expect("it runs");
        let answer = call.await;
        let changed = changing.changed().await;
        changed.expect("its slot stays");
        answer
    }

    /// Waits until no call is in flight.
    pub(super) async fn quiet(&self) {
        until(|| self.node.shared.registry.calls.count() == 0).await;
    }

    /// Holds up the instance's tenant, and with it its shard, until the answer is dropped.
    pub(super) async fn block(&self, id: InstanceId) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel();
        let (reached, there) = tokio::sync::oneshot::channel();
        let shared = Arc::clone(&self.node.shared);
        actix_rt::spawn(async move {
            let wait = move |_: &mut Change<'_>| {
                reached.send(()).expect("somebody waits for it");
                // An error is what ends it: the other end is gone.
                released.recv().ok();
                Ok(())
            };
            shared.change(id, wait).await.expect("nothing to refuse");
        });
        there.await.expect("reached");
        release
    }

    /// Waits until the instance's tenant runs again.
    pub(super) async fn running(&self, id: InstanceId) {
        let registry = &self.node.shared.registry;
        loop {
            let changing = registry.changing(id);
            if registry.running(id).is_some() {
                return;
            }
            match (registry.look(id), changing) {
                (Ok(Look::Running(_)), _) => return,
                (Ok(Look::Wait(mut changed)), _) | (Err(_), Some(mut changed)) => {
                    // A slot that was emptied is a change, too.
                    changed.changed().await.ok();
                }
                (Err(error), None) => panic!("it does not start: {error}"),
            }
        }
    }
}
