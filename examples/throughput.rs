//! How fast the server is, beside a bare actix-web handler in the same run.
//!
//! `cargo run --release --example throughput [seconds per measurement]`. Each round measures the
//! bare handler and the server in turn, so that what else the machine does meets both; what counts
//! is the ratio within a round. Client and servers share the machine's cores.

#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a program that prints what it measures"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, web};
use sanntid_server::Stopwatch;
use sanntid_testkit::{Sample, TestServer, wait_for_job};
use serde::Deserialize;

/// As in the binary, for both servers and the load.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 3;
const PROFILES: usize = 10_000;
const AS_OF: &str = "2026-11-01T00:00:00Z";
const KEY: &str = "Ocp-Apim-Subscription-Key: test-key-0123456789abcdef0123456789\r\n";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Patch<'a> {
    #[serde(borrow)]
    city: std::borrow::Cow<'a, str>,
}

fn main() {
    let seconds = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);
    let span = Duration::from_secs(seconds);
    let server = TestServer::start();
    let sample = Sample::create(&server.http);
    let (customers, orders) = (Sample::customers(PROFILES), Sample::orders(PROFILES));
    let watch = Stopwatch::start();
    let job = sample.upload(AS_OF, &customers, &orders);
    let job = wait_for_job(&server.http, &sample.instance, &job);
    let rows = job["report"]["rowsRead"].as_u64().expect("a report");
    println!(
        "snapshot: {rows} rows in {:.2} s, {:.0} rows/s",
        secs(&watch),
        per_second(rows, &watch)
    );

    let profile = sample.path("/data/Customer/C1");
    let overridden = server
        .http
        .json("PATCH", &profile, &serde_json::json!({"City": "Bergen"}));
    assert_eq!(overridden.status, 204);
    let size = server.http.get(&profile).body.len();
    let bare = bare_server(size);
    println!(
        "{CONNECTIONS} connections, {seconds} s each, answers of {size} bytes, 2 workers each\n"
    );
    println!(
        "{:<34}{:>10}{:>10}{:>8}",
        "", "bare/s", "sanntid/s", "ratio"
    );
    let paths: Arc<Vec<String>> = Arc::new(
        (1..=PROFILES)
            .map(|number| sample.path(&format!("/data/Customer/C{number}")))
            .collect(),
    );
    for (name, requests) in [
        ("durable PATCH, many profiles", patches(&paths)),
        (
            "durable PATCH, one hot profile",
            patches(&Arc::new(vec![profile])),
        ),
        ("merged GET by id", gets(&paths)),
    ] {
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let without = load(bare, &requests, span);
            let with = load(server.address(), &requests, span);
            println!(
                "{name:<34}{without:>10.0}{with:>10.0}{:>8.2}",
                with / without
            );
            ratios.push(with / without);
        }
        ratios.sort_by(f64::total_cmp);
        let (low, high) = (
            ratios.first().expect("rounds"),
            ratios.last().expect("rounds"),
        );
        let median = ratios.get(ROUNDS / 2).expect("rounds");
        println!("{name:<34}median {median:.2}, from {low:.2} to {high:.2}\n");
    }
}

fn secs(watch: &Stopwatch) -> f64 {
    watch.elapsed().as_secs_f64()
}

fn per_second(count: u64, watch: &Stopwatch) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / secs(watch)
}

/// Makes the n-th request.
type Requests = Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

fn patches(paths: &Arc<Vec<String>>) -> Requests {
    let paths = Arc::clone(paths);
    Arc::new(move |number| {
        let body = format!("{{\"City\": \"Bergen {number}\"}}");
        let head = format!(
            "PATCH {} HTTP/1.1\r\nHost: x\r\n{KEY}Content-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            pick(&paths, number),
            body.len()
        );
        head.into_bytes()
    })
}

fn gets(paths: &Arc<Vec<String>>) -> Requests {
    let paths = Arc::clone(paths);
    Arc::new(move |number| {
        format!(
            "GET {} HTTP/1.1\r\nHost: x\r\n{KEY}\r\n",
            pick(&paths, number)
        )
        .into_bytes()
    })
}

/// Spreads requests over the paths without order.
fn pick(paths: &[String], number: u64) -> &str {
    let count = u64::try_from(paths.len()).expect("a few");
    let index = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % count;
    paths
        .get(usize::try_from(index).expect("a few"))
        .expect("in range")
}

/// Requests answered per second.
fn load(address: SocketAddr, requests: &Requests, span: Duration) -> f64 {
    let (number, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let is_over = Arc::new(AtomicBool::new(false));
    let watch = Stopwatch::start();
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (number, done) = (Arc::clone(&number), Arc::clone(&done));
            let (is_over, requests) = (Arc::clone(&is_over), Arc::clone(requests));
            thread::spawn(move || {
                let stream = TcpStream::connect(address).expect("connected");
                stream.set_nodelay(true).expect("set");
                let mut answers = BufReader::new(stream.try_clone().expect("a second handle"));
                let mut stream = stream;
                while !is_over.load(Ordering::Relaxed) {
                    let request = requests(number.fetch_add(1, Ordering::Relaxed));
                    stream.write_all(&request).expect("sent");
                    take_answer(&mut answers);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let (_never, waits) = mpsc::channel::<()>();
    waits.recv_timeout(span).expect_err("nobody sends");
    is_over.store(true, Ordering::Relaxed);
    threads
        .into_iter()
        .for_each(|thread| thread.join().expect("no failed request"));
    per_second(done.load(Ordering::Relaxed), &watch)
}

fn take_answer(answers: &mut BufReader<TcpStream>) {
    let mut line = String::new();
    answers.read_line(&mut line).expect("an answer");
    assert!(line.starts_with("HTTP/1.1 20"), "{line}");
    let mut length = 0;
    loop {
        line.clear();
        answers.read_line(&mut line).expect("a header");
        if line == "\r\n" {
            break;
        }
        let (name, value) = line.split_once(':').expect("a header");
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().expect("a length");
        }
    }
    std::io::copy(&mut answers.by_ref().take(length), &mut std::io::sink()).expect("a body");
}

/// Parses the same body, answers the same status and as many bytes; no tenant, no store.
fn bare_server(size: usize) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let body = web::Bytes::from("x".repeat(size));
    thread::spawn(move || {
        let patch = |bytes: web::Bytes| async move {
            match serde_json::from_slice::<Patch<'_>>(&bytes) {
                Ok(patch) if !patch.city.is_empty() => HttpResponse::NoContent().finish(),
                _ => HttpResponse::BadRequest().finish(),
            }
        };
        let serving = async move {
            let app = move || {
                let body = body.clone();
                let get = move || {
                    let body = body.clone();
                    async move {
                        HttpResponse::Ok()
                            .content_type("application/json")
                            .body(body)
                    }
                };
                let path = "/api/instances/{instance}/data/{tail:.*}";
                App::new()
                    .route(path, web::patch().to(patch))
                    .route(path, web::get().to(get))
            };
            HttpServer::new(app)
                .workers(2)
                .listen(listener)
                .expect("listening")
                .run()
                .await
        };
        actix_web::rt::System::new()
            .block_on(serving)
            .expect("serving");
    });
    address
}
