//! HTTP/2: over TLS, and where a client begins with it without.

use std::future::Future;
use std::sync::Arc;

use actix_rt::net::TcpStream;
use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use rustls::pki_types::ServerName;
use sanntid_http::Config;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::client::{Call, KEY};
use crate::secured::Pair;
use crate::server::{Running, at};

fn run<T>(work: impl Future<Output = T>) -> T {
    let work = async { tokio::time::timeout(std::time::Duration::from_secs(60), work).await };
    actix_rt::System::new().block_on(work).expect("an end")
}

async fn begin<T: AsyncRead + AsyncWrite + Unpin + 'static>(stream: T) -> SendRequest<Bytes> {
    let mut builder = h2::client::Builder::new();
    builder
        .initial_max_send_streams(100_000)
        .max_concurrent_reset_streams(100_000);
    let (client, connection) = builder.handshake(stream).await.expect("a handshake");
    // How it ends is seen by the requests.
    actix_rt::spawn(async { drop(connection.await) });
    client
}

async fn plain(server: &Running) -> SendRequest<Bytes> {
    begin(
        TcpStream::connect(server.address)
            .await
            .expect("a connection"),
    )
    .await
}

fn request(method: &str, path: &str) -> http::request::Builder {
    http::Request::builder()
        .method(method)
        .uri(format!("http://test.example{path}"))
        .header("ocp-apim-subscription-key", KEY)
}

async fn send(
    client: &SendRequest<Bytes>,
    request: http::request::Builder,
    body: &str,
) -> Result<(u16, http::HeaderMap, String), h2::Error> {
    let mut client = client.clone().ready().await?;
    let request = request.body(()).expect("a request");
    let (answer, mut sender) = client.send_request(request, body.is_empty())?;
    if !body.is_empty() {
        sender.send_data(Bytes::copy_from_slice(body.as_bytes()), true)?;
    }
    let (head, body) = answer.await?.into_parts();
    Ok((head.status.as_u16(), head.headers, read(body).await?))
}

async fn read(mut body: RecvStream) -> Result<String, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8(bytes).expect("a text"))
}

async fn everyday(client: SendRequest<Bytes>, scheme: &str) {
    let get = |path: &str| request("GET", path);
    let (status, headers, body) = send(&client, get(&at("/data/Customer")), "")
        .await
        .expect("an answer");
    assert_eq!(status, 200);
    assert!(headers.contains_key("x-request-id"));
    assert!(
        body.contains(&format!("{scheme}://test.example/api/")),
        "{body}"
    );
    let patch =
        request("PATCH", &at("/data/Customer/c1")).header("content-type", "application/json");
    let (status, ..) = send(&client, patch, r#"{"City":"Oslo"}"#)
        .await
        .expect("an answer");
    assert_eq!(status, 204);
    let (status, headers, body) = send(&client, get("/openapi.json"), "")
        .await
        .expect("an answer");
    assert_eq!(status, 200);
    assert!(body.len() > 100_000, "more than one window");
    assert_eq!(
        headers.contains_key("strict-transport-security"),
        scheme == "https"
    );
    let nobody = http::Request::builder().uri("http://test.example/api/instances");
    assert_eq!(send(&client, nobody, "").await.expect("an answer").0, 401);
}

#[test]
fn the_same_is_served_over_tls_and_without() {
    let server = Running::start();
    run(async { everyday(plain(&server).await, "http").await });
    let pair = Pair::new();
    let server = Running::secured(Config::default(), pair.tls());
    run(async {
        let connector = TlsConnector::from(Arc::new(pair.client(&[b"h2"])));
        let stream = TcpStream::connect(server.address)
            .await
            .expect("a connection");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = connector.connect(name, stream).await.expect("a handshake");
        everyday(begin(stream).await, "https").await;
    });
}

#[test]
fn lines_are_answered_while_more_of_them_come() {
    let server = Running::start();
    run(async {
        let client = plain(&server).await;
        let mut client = client.ready().await.expect("a connection");
        let call = request("PATCH", &at("/data/Customer/$bulk"))
            .header("content-type", "application/x-ndjson")
            .body(())
            .expect("a request");
        let (answer, mut sender) = client.send_request(call, false).expect("a stream");
        let line = Bytes::from_static(b"{\"CustomerId\":\"c1\",\"City\":\"Oslo\"}\n");
        for _ in 0..1000 {
            sender.send_data(line.clone(), false).expect("a line");
        }
        sender.send_data(line, true).expect("the last line");
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let lines = read(answer.into_body()).await.expect("lines");
        assert!(
            lines.lines().count() >= 1001,
            "each is answered: {}",
            lines.lines().count()
        );
    });
}

#[test]
fn one_connection_has_as_many_requests_under_way_as_it_may_have() {
    let server = Running::with(Config {
        streams_max: 5,
        ..Config::default()
    });
    run(async {
        let client = plain(&server).await;
        let patch = || request("PATCH", &at("/data/Customer/c1"));
        // Their bodies never end, so neither do they.
        let mut held = Vec::new();
        for _ in 0..5 {
            let mut client = client.clone().ready().await.expect("a connection");
            let call = patch().body(()).expect("a request");
            let (answer, mut sender) = client.send_request(call, false).expect("a stream");
            sender
                .send_data(Bytes::from_static(b"{"), false)
                .expect("a piece");
            held.push((answer, sender));
        }
        let (status, headers, body) = send(&client, patch(), "{}").await.expect("an answer");
        assert_eq!(status, 503, "{body}");
        assert_eq!(
            headers.get("sanntid-limit").map(|v| v.as_bytes()),
            Some(&b"streamsInFlight"[..])
        );
        assert!(headers.contains_key("retry-after"));
        let other = plain(&server).await;
        assert_eq!(send(&other, patch(), "{}").await.expect("an answer").0, 204);
        // One ends, and there is room for another.
        let (answer, mut sender) = held.pop().expect("five");
        sender
            .send_data(Bytes::from_static(b"}"), true)
            .expect("the end");
        assert_eq!(answer.await.expect("an answer").status(), 204);
        assert_eq!(
            send(&client, patch(), "{}").await.expect("an answer").0,
            204
        );
    });
}

#[test]
fn requests_that_are_taken_back_at_once_end_the_connection_that_sends_them() {
    let server = Running::start();
    run(async {
        let client = plain(&server).await;
        let mut ended = false;
        for sent in 0..50_000 {
            let Ok(mut client) = client.clone().ready().await else {
                ended = true;
                break;
            };
            let call = request("GET", &at("/data/Customer"))
                .body(())
                .expect("a request");
            let Ok((_, mut sender)) = client.send_request(call, true) else {
                ended = true;
                break;
            };
            sender.send_reset(Reason::CANCEL);
            // Many of them arrive together.
            if sent % 500 == 499 {
                tokio::task::yield_now().await;
            }
        }
        assert!(ended, "the server has had enough");
    });
    assert_eq!(server.get("").status, 200);
}

#[test]
fn heads_have_the_same_limits() {
    let server = Running::start();
    run(async {
        let client = plain(&server).await;
        let get = |path: &str| request("GET", path);
        let mut many = get("/api/instances");
        for _ in 0..101 {
            many = many.header("x", "y");
        }
        let twice = get("/api/instances").header("ocp-apim-subscription-key", "other");
        let long = format!("/api/instances?x={}", "y".repeat(32 << 10));
        for (call, expected) in [
            (get("/api/instances").header("x", "y".repeat(60_000)), 200),
            (get("/api/instances").header("x", "y".repeat(70_000)), 431),
            (many, 431),
            (get(&long), 414),
            (twice, 400),
        ] {
            let (status, _, body) = send(&client, call, "").await.expect("an answer");
            assert_eq!(status, expected, "{body}");
        }
    });
}

#[test]
fn a_body_that_is_not_as_long_as_it_said_is_none() {
    let server = Running::start();
    run(async {
        for (length, body) in [("5", "{}"), ("1", "{}"), ("x", "{}")] {
            let client = plain(&server).await;
            let call = request("PATCH", &at("/data/Customer/c1")).header("content-length", length);
            let answer = send(&client, call, body).await;
            let refused = answer.as_ref().map_or(true, |(status, ..)| *status == 400);
            assert!(refused, "{length}: {answer:?}");
        }
    });
    assert_eq!(server.mock.patches.lock().unwrap().len(), 0);
    assert_eq!(server.send(&Call::get("/healthz")).status, 200);
}
