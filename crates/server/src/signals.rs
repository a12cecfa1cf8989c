//! Owns signals: the first SIGINT or SIGTERM asks to stop, the second ends the process at once.
//! Listens on a thread of its own, so that it works however busy everything else is.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a shell expects of a process that a signal ended.
const EXIT_INTERRUPTED: i32 = 130;

/// Tells whether the user wants to stop, and waits for that.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    state: Arc<(Mutex<bool>, Condvar)>,
}

impl Interrupt {
    /// Makes one that nothing but [`Interrupt::raise`] sets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes one that the first signal sets; the second ends the process.
    ///
    /// # Errors
    /// The system refuses to deliver signals.
    pub fn on_signal() -> anyhow::Result<Self> {
        let interrupt = Self::new();
        let raised = interrupt.clone();
        listen(move || raised.raise(), None)?;
        Ok(interrupt)
    }

    /// Asks to stop.
    pub fn raise(&self) {
        *self.state.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.state.1.notify_all();
    }

    /// Whether somebody asked to stop.
    pub fn is_raised(&self) -> bool {
        *self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits to be asked to stop, at most `span`; says whether that happened.
    pub fn wait(&self, span: Duration) -> bool {
        let guard = self.state.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (raised, _) = self
            .state
            .1
            .wait_timeout_while(guard, span, |raised| !*raised)
            .unwrap_or_else(PoisonError::into_inner);
        *raised
    }
}

/// Gives a future that ends at the first signal. From then on the process ends at once at the
/// second one, or when `grace` is over.
///
/// # Errors
/// The system refuses to deliver signals.
pub(crate) fn stop_asked(grace: Duration) -> anyhow::Result<impl Future<Output = ()>> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let first = move || {
        if sender.send(()).is_err() {
            tracing::debug!("asked to stop after the end");
        }
    };
    listen(first, Some(grace))?;
    Ok(async move {
        if receiver.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

fn listen(first: impl FnOnce() + Send + 'static, grace: Option<Duration>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no thread for signals")?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new().context("signals can't be received")?
    };
    let body = move || {
        runtime.block_on(async {
            signals.next().await;
            first();
            let Some(grace) = grace else {
                signals.next().await;
                end(EXIT_INTERRUPTED);
            };
            match tokio::time::timeout(grace, signals.next()).await {
                Ok(()) => end(EXIT_INTERRUPTED),
                Err(_) => {
                    tracing::error!("stopping took too long");
                    end(1);
                }
            }
        });
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(body)
        .context("no thread for signals")?;
    Ok(())
}

#[expect(
    clippy::exit,
    reason = "the user asked twice, or stopping hangs; nothing durable is lost"
)]
fn end(code: i32) -> ! {
    std::process::exit(code)
}

struct Signals {
    both: [Signal; 2],
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let both = [
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ];
        Ok(Self { both })
    }

    async fn next(&mut self) {
        poll_fn(|context| {
            let came = self
                .both
                .iter_mut()
                .any(|signal| signal.poll_recv(context).is_ready());
            if came { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_when_somebody_asks_to_stop() {
        let interrupt = Interrupt::new();
        assert!(!interrupt.wait(Duration::ZERO) && !interrupt.is_raised());
        let other = interrupt.clone();
        let raiser = std::thread::spawn(move || other.raise());
        assert!(interrupt.wait(Duration::from_secs(60)));
        raiser.join().unwrap();
        assert!(interrupt.is_raised() && interrupt.wait(Duration::from_secs(60)));
    }
}
