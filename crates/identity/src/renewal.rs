//! Keeps the provider's keys: a thread of its own reads them, so that nobody else waits for a
//! provider.
//! Owns when they are read again, how old they may become, and who may ask for that.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use sanntid_types::{Clock, Instant};
use tokio::sync::{Semaphore, watch};
use ureq::Agent;

use crate::config::Config;
use crate::keys::KeySet;
use crate::source::{self, Source};
use crate::verifier::StartError;

/// How often callers can have the keys read again.
const ASKED_EVERY: Duration = Duration::from_secs(30);
/// The wait before a provider is asked again that gave no keys.
const RETRY_WAIT: Duration = Duration::from_secs(30);
/// How long a request waits for keys.
const KEYS_WAIT_MAX: Duration = Duration::from_secs(5);
/// Requests that wait for keys at the same time; more are answered at once.
const WAITING_MAX: usize = 256;

/// Keeps the keys of one provider. The thread ends with it.
pub(crate) struct Renewal {
    state: Arc<State>,
    waiting: Semaphore,
    /// Wakes the thread; one call that waits is enough.
    wake: SyncSender<()>,
}

struct State {
    source: Source,
    refresh: Duration,
    stale_max: Duration,
    held: ArcSwapOption<Held>,
    rounds: watch::Sender<Rounds>,
    clock: Arc<dyn Clock>,
}

struct Held {
    keys: Arc<KeySet>,
    read_at: Instant,
}

/// Counts the readings. One is under way, or about to be, while fewer are done than were asked for.
#[derive(Clone, Copy, Default)]
struct Rounds {
    asked: u64,
    done: u64,
    /// When a caller last asked for one.
    asked_at: Option<Instant>,
}

impl Renewal {
    /// Reads a file of keys at once, and the keys of a provider soon.
    pub(crate) fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let unset = || StartError::Keys("no issuer is set".to_owned());
        let source = Source::of(config)?.ok_or_else(unset)?;
        let state = Arc::new(State {
            source,
            refresh: config.jwks_refresh,
            stale_max: config.jwks_stale_max,
            held: ArcSwapOption::empty(),
            rounds: watch::Sender::new(Rounds::default()),
            clock,
        });
        let agent = source::agent();
        let (wake, woken) = sync_channel(1);
        if state.source.is_file() {
            state.read(&agent).map_err(StartError::Keys)?;
        } else {
            state.rounds.send_modify(|rounds| {
                rounds.asked = 1;
                rounds.asked_at = Some(state.clock.now());
            });
            wake.try_send(()).expect("nobody else has sent yet");
        }
        let thread = thread::Builder::new().name("identity".to_owned());
        let of_thread = Arc::clone(&state);
        thread.spawn(move || of_thread.run(&agent, &woken))?;
        Ok(Self {
            state,
            waiting: Semaphore::new(WAITING_MAX),
            wake,
        })
    }

    /// The keys, unless there are none or they are too old.
    pub(crate) fn keys(&self, now: Instant) -> Option<Arc<KeySet>> {
        let held = self.state.held.load();
        let held = held.as_ref()?;
        if now >= held.read_at.plus(self.state.refresh) {
            // The thread does so by itself, unless the provider fails or the clock runs ahead.
            self.ask();
        }
        let is_fresh = now < held.read_at.plus(self.state.stale_max);
        is_fresh.then(|| Arc::clone(&held.keys))
    }

    /// Waits until the keys were read again, if that is under way or may be asked for.
    pub(crate) fn renewed(&self) -> impl Future<Output = ()> + Send + '_ {
        let round = self.ask();
        async move {
            let (Some(round), Ok(_place)) = (round, self.waiting.try_acquire()) else {
                return;
            };
            let mut rounds = self.state.rounds.subscribe();
            let done = async {
                // It fails only where the thread is gone.
                drop(rounds.wait_for(|rounds| rounds.done >= round).await);
            };
            drop(tokio::time::timeout(KEYS_WAIT_MAX, done).await);
        }
    }

    /// Asks for a reading, unless one was asked for of late; says which one is to be waited for.
    fn ask(&self) -> Option<u64> {
        let now = self.state.clock.now();
        let mut round = None;
        let is_new = self.state.rounds.send_if_modified(|rounds| {
            let is_idle = rounds.done >= rounds.asked;
            let is_due = rounds.asked_at.is_none_or(|at| is_apart(at, now));
            if is_idle && is_due {
                rounds.asked += 1;
                rounds.asked_at = Some(now);
            }
            round = (rounds.done < rounds.asked).then_some(rounds.asked);
            is_idle && is_due
        });
        if is_new {
            // Full, it wakes the thread anyway.
            self.wake.try_send(()).ok();
        }
        round
    }
}

/// Whether a caller may ask again; also where the clock was put back meanwhile.
fn is_apart(before: Instant, now: Instant) -> bool {
    now < before || now >= before.plus(ASKED_EVERY)
}

impl State {
    /// Reads the keys when woken and every so often, until nobody can wake it any more.
    fn run(&self, agent: &Agent, woken: &Receiver<()>) {
        let mut wait = self.refresh;
        loop {
            if woken.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            let read = self.round(agent);
            wait = match read {
                Ok(()) => self.refresh,
                Err(_) => self.refresh.min(RETRY_WAIT),
            };
            let result = if read.is_ok() { "ok" } else { "error" };
            metrics::counter!("sanntid_identity_reads_total", "result" => result).increment(1);
            if let Err(reason) = read {
                tracing::warn!(reason, "the identity provider's keys can't be read");
            }
        }
    }

    /// Reads once, and tells those who wait for it.
    fn round(&self, agent: &Agent) -> Result<(), String> {
        let mut round = 0;
        self.rounds.send_if_modified(|rounds| {
            rounds.asked = rounds.asked.max(rounds.done + 1);
            round = rounds.asked;
            false
        });
        let read = catch_unwind(AssertUnwindSafe(|| self.read(agent)));
        self.rounds.send_modify(|rounds| rounds.done = round);
        read.unwrap_or_else(|_| Err("reading them has panicked".to_owned()))
    }

    fn read(&self, agent: &Agent) -> Result<(), String> {
        let text = self.source.read(agent)?;
        let keys = KeySet::parse(&text)?;
        let before = self.held.load();
        let is_new = before
            .as_ref()
            .is_none_or(|held| held.keys.hash != keys.hash);
        if is_new {
            tracing::info!(keys = keys.len(), "the identity provider's keys were read");
        }
        let read_at = self.clock.now();
        let keys = Arc::new(keys);
        self.held.store(Some(Arc::new(Held { keys, read_at })));
        Ok(())
    }
}
