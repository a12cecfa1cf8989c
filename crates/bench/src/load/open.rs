//! Owns the open loop: requests at a fixed rate from a few connections, each on a thread.
//!
//! A latency counts from the moment at which the request was due wherever the connection was still
//! busy then, so that a stall is felt by all requests that it delays. Where the connection was free,
//! it counts from the sending: how late this machine wakes a thread is not the server's doing.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::Latencies;
use super::work::Work;
use crate::error::Error;
use crate::http::Connection;
use crate::timer::Timer;

/// One request that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// When the caller began to wait.
    pub(crate) start: Duration,
    pub(crate) end: Duration,
}

impl Sample {
    pub(crate) fn took(&self) -> Duration {
        self.end.saturating_sub(self.start)
    }
}

/// Who asks how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) per_second: u32,
    pub(crate) connections: u32,
}

/// Asks at a pace until `over` is set or `limit` has passed. A refusal ends it as an error.
pub(crate) fn run(
    address: SocketAddr,
    pace: Pace,
    work: &dyn Work,
    timer: Timer,
    over: &AtomicBool,
    limit: Option<Duration>,
) -> Result<Vec<Sample>, Error> {
    let start = timer.now();
    let end = limit.map(|limit| start + limit);
    let interval = Duration::from_secs(1) / pace.per_second.max(1);
    let connections = pace.connections.max(1);
    let ask = |first: u32| {
        let ended = one(address, work, timer, |round| {
            let due = start + interval * (first + round * connections);
            let goes_on = !over.load(Ordering::Relaxed) && end.is_none_or(|end| due < end);
            goes_on.then_some((
                due,
                u64::from(first) + u64::from(round) * u64::from(connections),
            ))
        });
        if ended.is_err() {
            // The others need not go on.
            over.store(true, Ordering::Relaxed);
        }
        ended
    };
    let mut samples = Vec::new();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|first| scope.spawn(move || ask(first)))
            .collect();
        for thread in threads {
            let ended = thread.join();
            samples.extend(ended.map_err(|_| Error::unexpected("a thread of the load crashed"))??);
        }
        Ok::<(), Error>(())
    })?;
    Ok(samples)
}

fn one(
    address: SocketAddr,
    work: &dyn Work,
    timer: Timer,
    due: impl Fn(u32) -> Option<(Duration, u64)>,
) -> Result<Vec<Sample>, Error> {
    let mut connection = Connection::open(address)?;
    let mut samples = Vec::new();
    let mut request = Vec::new();
    let mut free_since = Duration::ZERO;
    for round in 0.. {
        let Some((due, number)) = due(round) else {
            break;
        };
        request.clear();
        work.write(number, &mut request);
        let sent = timer.wait_until(due);
        let (head, _) = connection.exchange(&request)?;
        let end = timer.now();
        if !head.is_success() {
            let text = format!("a request of the load was answered with {}", head.status);
            return Err(Error::unexpected(text));
        }
        let start = if free_since > due { due } else { sent };
        samples.push(Sample { start, end });
        free_since = end;
    }
    Ok(samples)
}

/// The latencies of samples.
pub(crate) fn latencies(samples: &[Sample]) -> Latencies {
    let mut latencies = Latencies::new();
    samples
        .iter()
        .for_each(|sample| latencies.record(sample.took()));
    latencies
}

/// The longest wait of all that overlapped a window.
pub(crate) fn worst_within(samples: &[Sample], from: Duration, to: Duration) -> Duration {
    let overlaps = |sample: &&Sample| sample.start <= to && sample.end >= from;
    let waits = samples.iter().filter(overlaps).map(Sample::took);
    waits.max().unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc;

    use rustix::time::{ClockId, clock_gettime};

    use super::*;
    use crate::http::write_request;

    struct Gets;

    impl Work for Gets {
        fn write(&self, _: u64, out: &mut Vec<u8>) {
            write_request(out, "GET", "/", "", b"");
        }
    }

    fn monotonic() -> Duration {
        let now = clock_gettime(ClockId::Monotonic);
        Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.try_into().unwrap())
    }

    #[test]
    fn a_stall_is_felt_by_all_requests_that_it_delays() {
        let stall = Duration::from_millis(60);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (_never, waits) = mpsc::channel::<()>();
            let mut request = [0; 4096];
            let mut served = 0;
            while stream.read(&mut request).is_ok_and(|read| read > 0) {
                if served == 0 {
                    waits.recv_timeout(stall).unwrap_err();
                }
                served += 1;
                stream
                    .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                    .unwrap();
            }
            served
        });
        let pace = Pace {
            per_second: 200,
            connections: 1,
        };
        let over = AtomicBool::new(false);
        let limit = Some(Duration::from_millis(100));
        let timer = Timer::new(monotonic);
        let samples = run(address, pace, &Gets, timer, &over, limit).unwrap();
        assert_eq!((samples.len(), server.join().unwrap()), (20, 20));
        // Due 5, 10, … ms after the first, answered after the stall at the earliest.
        for (number, sample) in (0..8).zip(&samples) {
            let least = stall.saturating_sub(Duration::from_millis(5 * number + 5));
            assert!(sample.took() >= least, "{number}: {:?}", sample.took());
        }
    }

    #[test]
    fn the_longest_wait_of_a_window_is_that_of_whoever_waited_in_it() {
        let sample = |start, end| Sample {
            start: Duration::from_millis(start),
            end: Duration::from_millis(end),
        };
        let samples = [
            sample(0, 10),
            sample(20, 90),
            sample(95, 96),
            sample(200, 500),
        ];
        let worst = |from, to| {
            let span = Duration::from_millis;
            worst_within(&samples, span(from), span(to)).as_millis()
        };
        assert_eq!(
            worst(50, 60),
            70,
            "a wait that began before and ended after"
        );
        assert_eq!(worst(92, 100), 1);
        assert_eq!(worst(100, 199), 0);
        assert_eq!(worst(0, 1000), 300);
        assert_eq!(latencies(&samples).count(), 4);
    }
}
