//! Owns the store's own pace: how many records a second it takes without anything around it.

use std::path::Path;
use std::time::Duration;

use sanntid_store::{Config, FjallKv, Kv, Space, WriteBatch};

use crate::{Bench, Error, data};

/// As the loader of a refresh hands its records over.
const BATCH_BYTES: u64 = 1 << 20;
/// Different values; more would only fill memory.
const POOL_ROWS: u64 = 20_000;

/// What the store took.
pub(crate) struct Ingest {
    pub(crate) records: u64,
    pub(crate) span: Duration,
}

/// Writes customers into a store of their own, in batches of 1 MiB and in the data set's order.
///
/// With `synced` each batch is a commit; else they are loaded and synced once at the end, as the
/// rows of a generation are. Values come from a pool, so that making them costs next to nothing.
pub(crate) fn ingest(
    bench: &Bench<'_>,
    folder: &Path,
    records: u64,
    synced: bool,
) -> Result<Ingest, Error> {
    let pool: Vec<Vec<u8>> = (0..POOL_ROWS.min(records))
        .map(|number| data::customer(number).as_bytes().to_vec())
        .collect();
    let store = FjallKv::open(folder, Config::default(), None)?;
    let how = if synced { "commits" } else { "loads" };
    let what = format!("the store alone, {how}");
    bench.narrator.begin(&what, Some(records));
    let start = bench.timer.now();
    let mut since = None;
    let mut batch = WriteBatch::new();
    for (number, value) in (0..records).zip(pool.iter().cycle()) {
        let key = format!("bench/{}", data::customer_id(number)).into_bytes();
        batch.put(Space::Base, key, value.clone());
        if batch.bytes() < BATCH_BYTES && number + 1 < records {
            continue;
        }
        let full = std::mem::take(&mut batch);
        if synced {
            patiently(|| store.commit(full.clone()))?;
        } else {
            let epoch = patiently(|| store.load(full.clone()))?;
            since.get_or_insert(epoch);
        }
        bench.narrator.at(number + 1, "");
        bench.check()?;
    }
    if let Some(since) = since {
        store.sync(since)?;
    }
    let span = bench.timer.since(start);
    bench.narrator.end("");
    Ok(Ingest { records, span })
}

/// Asks again as long as flushes and compactions lag behind: that is a part of what is measured.
fn patiently<T>(mut write: impl FnMut() -> sanntid_store::Result<T>) -> sanntid_store::Result<T> {
    loop {
        match write() {
            Err(sanntid_store::Error::Busy) => {}
            other => return other,
        }
    }
}
