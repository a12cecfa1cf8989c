//! Owns the closed loop: connections on one thread that each ask again once they are answered.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::Latencies;
use super::work::Work;
use crate::error::{Doing, Error};
use crate::process::own_cpu;
use crate::timer::{Timer, per_second};

const READ_BYTES: usize = 16 << 10;

/// Says when it is enough.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    After(Duration),
    Answers(u64),
}

/// What a closed loop has measured.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Writes and reads that were done.
    pub(crate) done: u64,
    /// Answers that were refusals, by status.
    pub(crate) refused: BTreeMap<u16, u64>,
    pub(crate) span: Duration,
    pub(crate) latencies: Latencies,
    /// Processor time of this process.
    pub(crate) client_cpu: Duration,
}

impl Measured {
    pub(crate) fn per_second(&self) -> f64 {
        per_second(self.done, self.span)
    }

    /// Refuses a measurement in which something was refused.
    pub(crate) fn without_refusals(self) -> Result<Self, Error> {
        if self.refused.is_empty() {
            return Ok(self);
        }
        let text = format!(
            "requests of the load were refused, by status: {:?}",
            self.refused
        );
        Err(Error::unexpected(text))
    }
}

struct Loop {
    work: Arc<dyn Work>,
    timer: Timer,
    until: Until,
    start: Duration,
    next: Cell<u64>,
    done: Cell<u64>,
    refused: RefCell<BTreeMap<u16, u64>>,
    latencies: RefCell<Latencies>,
}

/// Runs a closed loop. A connection that breaks ends it as an error.
pub(crate) fn run(
    address: SocketAddr,
    connections: usize,
    work: &Arc<dyn Work>,
    until: Until,
    timer: Timer,
) -> Result<Measured, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build();
    let runtime = runtime.doing(|| "starting the load".to_owned())?;
    let before = own_cpu();
    let shared = Rc::new(Loop {
        work: Arc::clone(work),
        timer,
        until,
        start: timer.now(),
        next: Cell::new(0),
        done: Cell::new(0),
        refused: RefCell::default(),
        latencies: RefCell::new(Latencies::new()),
    });
    let local = LocalSet::new();
    let tasks: Vec<_> = (0..connections)
        .map(|_| local.spawn_local(ask(Rc::clone(&shared), address)))
        .collect();
    let ended = local.block_on(&runtime, async {
        for task in tasks {
            task.await
                .map_err(|error| Error::unexpected(error.to_string()))??;
        }
        Ok::<(), Error>(())
    });
    ended?;
    let latencies = shared.latencies.borrow().clone();
    let refused = shared.refused.borrow().clone();
    Ok(Measured {
        done: shared.done.get() * work.per_request(),
        refused,
        span: timer.since(shared.start),
        latencies,
        client_cpu: own_cpu().saturating_sub(before),
    })
}

async fn ask(shared: Rc<Loop>, address: SocketAddr) -> Result<(), Error> {
    let doing = || format!("a connection of the load to {address}");
    let mut stream = TcpStream::connect(address).await.doing(doing)?;
    stream.set_nodelay(true).doing(doing)?;
    let mut request = Vec::new();
    let mut arrived = Vec::with_capacity(READ_BYTES);
    while let Some(number) = shared.next_number() {
        request.clear();
        arrived.clear();
        shared.work.write(number, &mut request);
        let start = shared.timer.now();
        stream.write_all(&request).await.doing(doing)?;
        let answer = loop {
            if stream.read_buf(&mut arrived).await.doing(doing)? == 0 {
                return Err(Error::unexpected("a connection of the load was closed"));
            }
            if let Some(answer) = shared.work.parse(&arrived)? {
                break answer;
            }
        };
        let took = shared.timer.since(start);
        if answer.is_success {
            shared.done.set(shared.done.get() + 1);
            shared.latencies.borrow_mut().record(took);
        } else {
            *shared
                .refused
                .borrow_mut()
                .entry(answer.status)
                .or_default() += 1;
        }
    }
    Ok(())
}

impl Loop {
    fn next_number(&self) -> Option<u64> {
        let number = self.next.get();
        let goes_on = match self.until {
            // One is asked in any case.
            Until::After(span) => number == 0 || self.timer.since(self.start) < span,
            Until::Answers(count) => number < count,
        };
        goes_on.then(|| {
            self.next.set(number + 1);
            number
        })
    }
}
