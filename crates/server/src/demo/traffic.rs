//! Owns the live traffic of the demo: one writer, one reader, and what they measure.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};
use fastrand::Rng;
use sanntid_types::{Clock, Instant};
use serde_json::json;

use super::people;
use crate::api::Instance;
use crate::client;
use crate::clock::{Stopwatch, SystemClock};
use crate::signals::Interrupt;

/// Time between two calls of a thread: twenty a second.
const PACE: Duration = Duration::from_millis(50);
/// How many latencies are looked at.
const SAMPLES_MAX: usize = 2_000;
/// One write in so many is an activity.
const ACTIVITY_EVERY: u64 = 4;
const FIELDS: [&str; 4] = ["City", "Occupation", "LoyaltyTier", "Income"];

/// Calls that go on until they are stopped.
pub(super) struct Traffic {
    stop: Interrupt,
    writes: Arc<Mutex<Meter>>,
    reads: Arc<Mutex<Meter>>,
    threads: Vec<JoinHandle<Result<(), client::Error>>>,
}

impl Traffic {
    /// Starts both threads.
    pub(super) fn start(instance: &Instance) -> anyhow::Result<Self> {
        let stop = Interrupt::new();
        let writes = Arc::new(Mutex::new(Meter::default()));
        let reads = Arc::new(Mutex::new(Meter::default()));
        let client = instance.client().with_interrupt(stop.clone());
        let writer = instance.with_client(client.clone());
        let reader = instance.with_client(client);
        let (write_meter, read_meter) = (Arc::clone(&writes), Arc::clone(&reads));
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let threads = vec![
            thread("writer").spawn(move || write(&writer, &write_meter)),
            thread("reader").spawn(move || read(&reader, &read_meter)),
        ];
        let threads = threads.into_iter().collect::<Result<_, _>>();
        Ok(Self {
            stop,
            writes,
            reads,
            threads: threads.context("no thread for traffic")?,
        })
    }

    /// Says how it goes, on one line.
    pub(super) fn status(&self, elapsed: Duration) -> String {
        let now = SystemClock::new().now();
        let (writes, live) = {
            let mut meter = lock(&self.writes);
            (meter.line(elapsed), meter.live_fields(now))
        };
        let reads = lock(&self.reads).line(elapsed);
        format!("writes {writes} · reads {reads} · overlay fields {live}")
    }

    /// Stops both threads.
    ///
    /// # Errors
    /// The first call that failed.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        self.stop.raise();
        let mut failed = None;
        for thread in self.threads {
            match thread.join() {
                Ok(Ok(()) | Err(client::Error::Interrupted)) => {}
                Ok(Err(error)) => failed = failed.or(Some(anyhow!(error))),
                Err(_) => failed = failed.or(Some(anyhow!("a thread of the traffic crashed"))),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// What one thread has measured.
#[derive(Debug, Default)]
struct Meter {
    calls: u64,
    latencies: VecDeque<Duration>,
    /// Profile and field → until when the newest update of it holds.
    fields: BTreeMap<(usize, usize), Instant>,
}

impl Meter {
    fn note(&mut self, latency: Duration) {
        self.calls += 1;
        if self.latencies.len() == SAMPLES_MAX {
            self.latencies.pop_front();
        }
        self.latencies.push_back(latency);
    }

    fn live_fields(&mut self, now: Instant) -> usize {
        self.fields.retain(|_, until| *until > now);
        self.fields.len()
    }

    fn line(&self, elapsed: Duration) -> String {
        let per_second = self.calls as f64 / elapsed.as_secs_f64().max(0.001);
        let mut sorted: Vec<Duration> = self.latencies.iter().copied().collect();
        sorted.sort_unstable();
        let millis = |percent| percentile(&sorted, percent).as_secs_f64() * 1000.0;
        format!(
            "{} ({per_second:.0}/s, p50 {:.1} ms, p99 {:.1} ms)",
            self.calls,
            millis(50),
            millis(99)
        )
    }
}

/// The smallest value that so many percent of the sorted values don't exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    let index = rank.saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

fn write(instance: &Instance, meter: &Mutex<Meter>) -> Result<(), client::Error> {
    let clock = SystemClock::new();
    let mut rng = Rng::with_seed(7);
    paced(instance, |turn| {
        let now = clock.now();
        let person = rng.usize(1..=people::CUSTOMERS);
        if turn % ACTIVITY_EVERY == 0 {
            let id = format!("OP-DEMO-{turn}");
            let order = people::order(&mut rng, id, format!("CNT{person:05}"), now);
            let body = people::order_json(&order).to_string();
            let watch = Stopwatch::start();
            instance.append(people::ORDERS_ENTITY, &body, &[("caller", "shop")])?;
            lock(meter).note(watch.elapsed());
            return Ok(());
        }
        let field = rng.usize(..FIELDS.len());
        let value = match field {
            0 => json!(people::one_of(&mut rng, &people::CITIES)),
            1 => json!(people::one_of(&mut rng, &people::OCCUPATIONS)),
            2 => json!(people::one_of(&mut rng, &people::TIERS)),
            _ => json!(rng.u32(250..1_500) * 1_000),
        };
        let name = FIELDS.get(field).copied().unwrap_or_default();
        let body = json!({ name: value }).to_string();
        let until = now.plus(Duration::from_secs(rng.u64(10..120)));
        let text = until.to_string();
        let options = [("validUntil", text.as_str()), ("caller", "crm")];
        let watch = Stopwatch::start();
        instance.patch(&format!("C{person:05}"), &body, &options)?;
        let took = watch.elapsed();
        let mut meter = lock(meter);
        meter.note(took);
        meter.fields.insert((person, field), until);
        Ok(())
    })
}

fn read(instance: &Instance, meter: &Mutex<Meter>) -> Result<(), client::Error> {
    let mut rng = Rng::with_seed(8);
    paced(instance, |_| {
        let person = format!("C{:05}", rng.usize(1..=people::CUSTOMERS));
        let watch = Stopwatch::start();
        instance.card(&person)?;
        lock(meter).note(watch.elapsed());
        Ok(())
    })
}

/// Takes a turn at each beat until asked to stop; late turns follow at once.
fn paced(
    instance: &Instance,
    mut turn: impl FnMut(u64) -> Result<(), client::Error>,
) -> Result<(), client::Error> {
    let watch = Stopwatch::start();
    let mut due = Duration::ZERO;
    for number in 1.. {
        due += PACE;
        let stop = instance.client().interrupt();
        if stop.wait(due.saturating_sub(watch.elapsed())) {
            break;
        }
        turn(number)?;
    }
    Ok(())
}

fn lock(meter: &Mutex<Meter>) -> std::sync::MutexGuard<'_, Meter> {
    meter.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        for (percent, millis) in [(0, 1), (1, 2), (50, 100), (99, 198), (100, 200)] {
            assert_eq!(percentile(&sorted, percent), Duration::from_millis(millis));
        }
        assert_eq!(percentile(&[], 50), Duration::ZERO);
        assert_eq!(
            percentile(&[Duration::from_secs(1)], 1),
            Duration::from_secs(1)
        );
    }

    #[test]
    fn only_live_fields_are_counted_and_old_samples_are_forgotten() {
        let mut meter = Meter::default();
        let at = |secs: i64| Instant::from_millis(secs * 1000);
        meter.fields.insert((1, 0), at(10));
        meter.fields.insert((1, 1), at(20));
        assert_eq!(meter.live_fields(at(9)), 2);
        assert_eq!(meter.live_fields(at(10)), 1);
        for _ in 0..SAMPLES_MAX + 5 {
            meter.note(Duration::from_millis(1));
        }
        assert_eq!(meter.latencies.len(), SAMPLES_MAX);
        let line = meter.line(Duration::from_secs(1));
        assert_eq!(line, "2005 (2005/s, p50 1.0 ms, p99 1.0 ms)");
    }
}
