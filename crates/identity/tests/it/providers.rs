//! Keys that are fetched from a provider: found, renewed, and missed.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use sanntid_engine::{TokenRefusal, Tokens as _};
use sanntid_identity::{Config, Verifier};
use serde_json::json;

use crate::fixture::{TestClock, ask, claims, claims_with, config, key_set, wait};
use crate::provider::Provider;
use crate::signer::Signer;

const UNAVAILABLE: Result<String, TokenRefusal> = Err(TokenRefusal::Unavailable);

fn ada() -> Result<String, TokenRefusal> {
    Ok("user:ada".to_owned())
}

fn start(jwks: String) -> (Verifier, Arc<TestClock>) {
    let clock = TestClock::new();
    let config = Config {
        jwks: Some(jwks),
        ..config()
    };
    let verifier = Verifier::start(&config, clock.clone()).unwrap().unwrap();
    (verifier, clock)
}

#[test]
fn an_issuer_tells_where_its_keys_are() {
    let (provider, signer) = (Provider::start(), Signer::new("a", "ES256"));
    let issuer = provider.url("/tenant");
    let document = json!({"issuer": issuer, "jwks_uri": provider.url("/keys"), "scopes": []});
    provider.tell(
        "/tenant/.well-known/openid-configuration",
        "200 OK",
        "",
        &document.to_string(),
    );
    provider.tell(
        "/keys",
        "200 OK",
        "content-type: text/plain\r\n",
        &key_set(&[&signer]),
    );
    let config = Config {
        issuer: Some(issuer.clone()),
        ..config()
    };
    let verifier = Verifier::start(&config, TestClock::new()).unwrap().unwrap();
    let token = signer.sign(&claims_with(&json!({ "iss": issuer })));
    assert_eq!(ask(&verifier, &token), ada());
    assert_eq!(ask(&verifier, &token), ada());
    let asked = provider.asked();
    assert_eq!(
        asked,
        ["/tenant/.well-known/openid-configuration", "/keys"],
        "once"
    );
}

#[test]
fn a_document_of_another_issuer_is_not_believed() {
    let (provider, signer) = (Provider::start(), Signer::new("a", "ES256"));
    let document = json!({"issuer": "https://evil", "jwks_uri": provider.url("/keys")});
    provider.tell(
        "/.well-known/openid-configuration",
        "200 OK",
        "",
        &document.to_string(),
    );
    provider.tell("/keys", "200 OK", "", &key_set(&[&signer]));
    let issuer = provider.url("");
    let config = Config {
        issuer: Some(issuer.clone()),
        ..config()
    };
    let verifier = Verifier::start(&config, TestClock::new()).unwrap().unwrap();
    let token = signer.sign(&claims_with(&json!({ "iss": issuer })));
    assert_eq!(ask(&verifier, &token), UNAVAILABLE);
    assert_eq!(provider.asked(), ["/.well-known/openid-configuration"]);
}

#[test]
fn keys_are_fetched_again_for_a_token_whose_key_is_new() {
    let provider = Provider::start();
    let (old, new) = (Signer::new("old", "ES256"), Signer::new("new", "EdDSA"));
    provider.tell("/keys", "200 OK", "", &key_set(&[&old]));
    let (verifier, clock) = start(provider.url("/keys"));
    assert_eq!(ask(&verifier, &old.sign(&claims())), ada());
    provider.tell("/keys", "200 OK", "", &key_set(&[&new]));
    clock.advance(Duration::from_secs(30));
    assert_eq!(ask(&verifier, &new.sign(&claims())), ada());
    for number in 0..100 {
        let unknown = Signer::new(&format!("unknown {number}"), "EdDSA").sign(&claims());
        assert_eq!(ask(&verifier, &unknown), Err(TokenRefusal::UnknownKey));
    }
    assert_eq!(
        provider.asked().len(),
        2,
        "callers can't make it ask more often"
    );
    clock.advance(Duration::from_secs(30));
    assert_eq!(
        ask(&verifier, &old.sign(&claims())),
        Err(TokenRefusal::UnknownKey)
    );
    assert_eq!(provider.asked().len(), 3);
}

#[test]
fn answers_that_are_no_keys_change_nothing() {
    let (provider, signer) = (Provider::start(), Signer::new("a", "ES256"));
    let (elsewhere, evil) = (Provider::start(), Signer::new("evil", "ES256"));
    elsewhere.tell("/keys", "200 OK", "", &key_set(&[&signer, &evil]));
    let keys = key_set(&[&signer]);
    provider.tell("/keys", "200 OK", "", &keys);
    let (verifier, clock) = start(provider.url("/keys"));
    let token = signer.sign(&claims());
    assert_eq!(ask(&verifier, &token), ada());

    let both = key_set(&[&signer, &evil]);
    let huge = format!("{{\"keys\": [], \"x\": \"{}\"}}", "x".repeat(2 << 20));
    let location = format!("location: {}\r\n", elsewhere.url("/keys"));
    let chunk = format!("{:x}\r\n{both}\r\n", both.len());
    let endless = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}");
    let cut = format!("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{both}");
    type Tell<'a> = Box<dyn Fn() + 'a>;
    let plain = |status: &'static str, headers: &'static str, body: &'static str| -> Tell<'_> {
        Box::new(|| provider.tell("/keys", status, headers, body))
    };
    let answers: Vec<(&str, Tell<'_>)> = vec![
        ("garbage", plain("200 OK", "", "<html>")),
        ("nothing", plain("200 OK", "", "")),
        (
            "an error",
            Box::new(|| provider.tell("/keys", "500 Oops", "", &both)),
        ),
        (
            "not found",
            Box::new(|| provider.tell("/keys", "404 Not Found", "", &both)),
        ),
        (
            "other success",
            Box::new(|| provider.tell("/keys", "206 Partial", "", &both)),
        ),
        (
            "huge",
            Box::new(|| provider.tell("/keys", "200 OK", "", &huge)),
        ),
        (
            "301",
            Box::new(|| provider.tell("/keys", "301 Moved", &location, &both)),
        ),
        (
            "302",
            Box::new(|| provider.tell("/keys", "302 Found", &location, &both)),
        ),
        (
            "307",
            Box::new(|| provider.tell("/keys", "307 There", &location, "")),
        ),
        (
            "endless",
            Box::new(|| provider.tell_raw("/keys", endless.clone().into_bytes())),
        ),
        (
            "cut",
            Box::new(|| provider.tell_raw("/keys", cut.clone().into_bytes())),
        ),
        (
            "no HTTP",
            Box::new(|| provider.tell_raw("/keys", b"hello\r\n\r\n".to_vec())),
        ),
    ];
    let forged = evil.sign(&claims());
    for (count, (what, tell)) in answers.iter().enumerate() {
        tell();
        clock.advance(Duration::from_secs(30));
        assert_eq!(
            ask(&verifier, &forged),
            Err(TokenRefusal::UnknownKey),
            "{what}"
        );
        assert_eq!(provider.asked().len(), count + 2, "{what}");
        assert_eq!(ask(&verifier, &token), ada(), "{what}");
    }
    assert_eq!(elsewhere.asked(), [""; 0], "no redirect is followed");
}

#[test]
fn a_provider_that_is_down_is_waited_for_and_its_keys_serve_meanwhile() {
    let signer = Signer::new("a", "ES256");
    let token = signer.sign(&claims());
    let provider = Provider::start();
    let address = provider.address;
    drop(provider);
    let (verifier, clock) = start(format!("http://{address}/keys"));
    assert_eq!(ask(&verifier, &token), UNAVAILABLE, "down from the start");
    let provider = Provider::on(address);
    provider.tell("/keys", "200 OK", "", &key_set(&[&signer]));
    clock.advance(Duration::from_secs(30));
    assert_eq!(ask(&verifier, &token), ada(), "it is up");
    drop(provider);
    clock.advance(Duration::from_secs(1200));
    wait(&verifier);
    assert_eq!(ask(&verifier, &token), ada(), "its keys serve on");
    clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(ask(&verifier, &token), UNAVAILABLE, "not for ever");
}

/// Answers one connection by TLS, with a certificate that it has signed itself; says how far it came.
fn answer_by_tls(listener: &std::net::TcpListener, keys: &str) -> std::io::Result<()> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
    let (mut socket, _) = listener.accept().unwrap();
    let mut stream = rustls::Stream::new(&mut connection, &mut socket);
    stream.read_exact(&mut [0; 4])?;
    let length = keys.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{keys}"
    )
}

#[test]
fn a_provider_whose_certificate_nobody_vouches_for_is_not_believed() {
    let signer = Signer::new("a", "EdDSA");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let keys = key_set(&[&signer]);
    let provider = std::thread::spawn(move || answer_by_tls(&listener, &keys));
    let (verifier, _clock) = start(format!("https://localhost:{port}/keys"));
    assert_eq!(ask(&verifier, &signer.sign(&claims())), UNAVAILABLE);
    assert!(
        provider.join().unwrap().is_err(),
        "it is hung up on before it is asked"
    );
}

#[test]
fn a_provider_that_says_nothing_holds_nobody_for_long() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let (verifier, _clock) = start(format!("http://{address}/keys"));
    let token = Signer::new("a", "EdDSA").sign(&claims());
    assert_eq!(
        verifier.verify(&token),
        Err(TokenRefusal::Unavailable),
        "at once"
    );
    assert_eq!(
        ask(&verifier, &token),
        UNAVAILABLE,
        "within the limit of a wait"
    );
    drop(silent);
}
