//! Owns what a node does about once a second: look after the store, let idle tenants go, reclaim.
//!
//! Must not be needed for correctness: a node whose upkeep stands still answers the same.

use std::{sync::Arc, time::Duration};

use sanntid_store::{Health, sweep};
use sanntid_types::Instant;

use crate::{node::Shared, tenant::Leave, uploads};

const EVERY: Duration = Duration::from_secs(1);
/// Uploads are looked through at every so many rounds.
const UPLOADS_EVERY: u32 = 60;

pub(crate) async fn run(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut was_ok = true;
    for round in 0_u32.. {
        ticks.tick().await;
        let on_disk = Arc::clone(&shared);
        let with_uploads = round % UPLOADS_EVERY == 0;
        let looked = tokio::task::spawn_blocking(move || on_disk.look_after_disk(with_uploads));
        let is_ok = matches!(looked.await, Ok(Health::Ok));
        if is_ok && !was_ok {
            shared.refresh_tenants();
        }
        was_ok = is_ok;
        shared.let_idle_go();
    }
}

impl Shared {
    /// Measures, re-opens, reclaims; may block.
    pub(crate) fn look_after_disk(&self, with_uploads: bool) -> Health {
        let health = self.kv.maintain();
        let is_trusted = self.clock.is_trusted();
        self.expiry.pause(!is_trusted);
        if !is_trusted || !matches!(health, Health::Ok | Health::DiskFull { .. }) {
            return health;
        }
        let now: Instant = self.clock.now();
        if let Err(error) = sweep(&*self.kv, now, self.config.sweep_records_max) {
            tracing::debug!(%error, "reclamation waits");
        }
        if with_uploads && let Err(error) = uploads::remove_expired(self, now) {
            tracing::debug!(%error, "expired uploads wait");
        }
        health
    }

    /// Has each tenant read its state anew where a lost batch left it in doubt.
    fn refresh_tenants(self: &Arc<Self>) {
        for addr in self.registry.all() {
            let (reply, _answer) = crate::outcome::ReplyTo::new();
            let command = crate::tenant::Command::Change(Box::new(|_| Ok(())));
            // A full mailbox will do it with the next call.
            addr.try_send(crate::tenant::Call { command, reply }).ok();
        }
    }

    fn let_idle_go(&self) {
        for addr in self.registry.evict_idle(self.clock.now()) {
            // One that is gone already has told the registry.
            addr.try_send(Leave).ok();
        }
        metrics::gauge!("sanntid_tenants_in_memory")
            .set(u32::try_from(self.registry.len()).map_or(f64::MAX, f64::from));
    }
}
