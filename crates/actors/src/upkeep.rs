//! Owns what a node does about once a second: look after the store, let idle tenants go, reclaim.
//!
//! Must not be needed for correctness: a node whose upkeep stands still answers the same.

use std::sync::Arc;

use sanntid_store::Health;
use sanntid_types::Instant;

use crate::{
    node::Shared,
    outcome::ReplyTo,
    tenant::{Call, Command, Leave},
    uploads,
};

/// Uploads and jobs are looked through at every so many rounds.
const UPLOADS_EVERY: u32 = 60;

pub(crate) async fn run(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(shared.config.upkeep_every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick comes at once.
    ticks.tick().await;
    for round in 0_u32.. {
        ticks.tick().await;
        let with_uploads = round % UPLOADS_EVERY == 0;
        shared.look_after(with_uploads).await;
    }
}

impl Shared {
    /// One round of upkeep.
    pub(crate) async fn look_after(self: &Arc<Self>, with_uploads: bool) {
        let on_disk = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || on_disk.look_after_disk(with_uploads));
        match looked.await {
            Ok(Health::Ok | Health::DiskFull { .. }) => {
                self.settle_tenants();
                self.count_on().await;
            }
            Ok(Health::Poisoned | Health::Reopening | Health::Closed) => {}
            Err(error) => tracing::error!(%error, "upkeep has failed"),
        }
        self.follow_schedules().await;
        self.refreshes.try_again();
        self.attempts.look_again();
        self.go_on_erasing();
        self.let_idle_go();
    }

    /// Measures, re-opens, reclaims; may block.
    fn look_after_disk(&self, with_uploads: bool) -> Health {
        let health = self.kv.maintain();
        let is_trusted = self.clock.is_trusted();
        self.expiry.pause(!is_trusted);
        if !is_trusted || !matches!(health, Health::Ok | Health::DiskFull { .. }) {
            return health;
        }
        let now: Instant = self.clock.now();
        let budget = self.config.sweep_records_max;
        if let Err(error) = self.sweeper.lock().sweep(&*self.kv, now, budget) {
            tracing::debug!(%error, "reclamation waits");
        }
        if let Err(error) = self.prune_jobs(with_uploads) {
            tracing::debug!(%error, "old jobs wait");
        }
        if let Err(error) = self.prune_audit(with_uploads) {
            tracing::debug!(%error, "old audit records wait");
        }
        if with_uploads && let Err(error) = uploads::remove_expired(self, now) {
            tracing::debug!(%error, "expired uploads wait");
        }
        health
    }

    /// Removes old jobs, in rounds of which `begins` starts one: where much is due, a round goes on
    /// in the steps of upkeep that come next.
    fn prune_jobs(&self, begins: bool) -> sanntid_store::Result<()> {
        let mut pruner = self.pruner.lock();
        let (pruner, has_more) = &mut *pruner;
        if begins || *has_more {
            let (kept, budget) = (self.config.jobs_kept, self.config.sweep_records_max);
            *has_more = pruner.prune(&*self.kv, kept, budget)?;
        }
        Ok(())
    }

    /// Has each tenant read its state anew that a lost batch left in doubt, so that readers see it.
    fn settle_tenants(&self) {
        for running in self.registry.all() {
            if running.published.is_in_doubt() {
                let (reply, _answer) = ReplyTo::new();
                let command = Command::Change(Box::new(|_| Ok(())));
                // A full mailbox holds a call that will do the same.
                running.addr.try_send(Call { command, reply }).ok();
            }
        }
    }

    /// Has tenants leave memory that nobody has called for a while.
    pub(crate) fn let_idle_go(&self) {
        for addr in self.registry.evict_idle(self.clock.now()) {
            // One that is gone already has told the registry.
            addr.try_send(Leave).ok();
        }
        metrics::gauge!("sanntid_tenants_in_memory")
            .set(u32::try_from(self.registry.len()).map_or(f64::MAX, f64::from));
    }
}
