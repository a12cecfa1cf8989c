//! TLS as clients see it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned};
use sanntid_http::{Config, Tls};

use crate::client::{KEY, connect, parse};
use crate::server::{Running, at};

/// A certificate for `localhost` that vouches for itself.
pub(crate) struct Pair {
    certificate: String,
    key: String,
    der: CertificateDer<'static>,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
        Self {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
            der: made.cert.der().clone(),
        }
    }

    pub(crate) fn tls(&self) -> Tls {
        Tls::new(self.certificate.as_bytes(), self.key.as_bytes()).expect("a good pair")
    }

    /// How a client connects that trusts this certificate alone.
    pub(crate) fn client(&self, protocols: &[&[u8]]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions");
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config
    }
}

type Secured = StreamOwned<ClientConnection, TcpStream>;

fn secured(server: &Running, config: ClientConfig) -> std::io::Result<Secured> {
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = StreamOwned::new(connection, connect(server.address));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

fn get(stream: &mut Secured, path: &str) -> std::io::Result<Vec<u8>> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nOcp-Apim-Subscription-Key: {KEY}\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    let length = parse(&answer)
        .header("content-length")
        .and_then(|text| text.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    answer.extend(body);
    Ok(answer)
}

#[test]
fn answers_come_over_tls_and_say_to_come_back_that_way() {
    let pair = Pair::new();
    let server = Running::secured(Config::default(), pair.tls());
    for (versions, expected) in [
        (&[&rustls::version::TLS12][..], ProtocolVersion::TLSv1_2),
        (&[&rustls::version::TLS13], ProtocolVersion::TLSv1_3),
    ] {
        let mut roots = RootCertStore::empty();
        roots.add(pair.der.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(versions).expect("versions");
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        let mut stream = secured(&server, config).expect("a connection");
        assert_eq!(stream.conn.protocol_version(), Some(expected));
        let answer = parse(&get(&mut stream, &at("/data/Customer")).expect("an answer"));
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("strict-transport-security"),
            Some("max-age=31536000")
        );
        let context = answer.json()["@odata.context"].to_string();
        assert!(context.starts_with("\"https://localhost/api/"), "{context}");
    }
}

#[test]
fn the_client_and_the_server_agree_on_one_http() {
    let pair = Pair::new();
    let server = Running::secured(Config::default(), pair.tls());
    for (offered, expected) in [
        (&[&b"h2"[..], b"http/1.1"][..], Some(&b"h2"[..])),
        (&[b"http/1.1", b"h2"], Some(b"h2")),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let stream = secured(&server, pair.client(offered)).expect("a connection");
        assert_eq!(stream.conn.alpn_protocol(), expected);
    }
    assert!(
        secured(&server, pair.client(&[b"h3"])).is_err(),
        "no HTTP in common"
    );
}

#[test]
fn a_new_certificate_is_used_for_new_connections_and_old_ones_go_on() {
    let (old, new) = (Pair::new(), Pair::new());
    let tls = old.tls();
    let server = Running::secured(Config::default(), tls.clone());
    let mut kept = secured(&server, old.client(&[])).expect("a connection");
    get(&mut kept, "/healthz").expect("an answer");
    let bad = tls.replace(new.certificate.as_bytes(), old.key.as_bytes());
    assert!(bad.is_err());
    assert!(
        secured(&server, old.client(&[])).is_ok(),
        "a bad pair changes nothing"
    );
    tls.replace(new.certificate.as_bytes(), new.key.as_bytes())
        .expect("a good pair");
    assert!(secured(&server, new.client(&[])).is_ok());
    assert!(secured(&server, old.client(&[])).is_err());
    get(&mut kept, "/healthz").expect("an answer on the old connection");
}

#[test]
fn who_speaks_no_tls_or_nothing_is_let_go_and_others_are_served() {
    let pair = Pair::new();
    let config = Config {
        head_timeout: Duration::from_secs(1),
        ..Config::default()
    };
    let server = Running::secured(config, pair.tls());
    let mut open = Vec::new();
    for start in [
        &b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"\x16\x03\x01",
        b"\x16\x03\x01\xff\xff\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"",
    ] {
        for _ in 0..20 {
            let mut stream = connect(server.address);
            stream.write_all(start).expect("a write");
            open.push(stream);
        }
    }
    let mut stream = secured(&server, pair.client(&[])).expect("a connection");
    get(&mut stream, "/healthz").expect("an answer");
    for mut stream in open {
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        assert!(!answer.starts_with(b"HTTP"), "nothing is said in the clear");
    }
}
