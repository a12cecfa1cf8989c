//! Who is let in.

use crate::client::{Call, KEY};
use crate::server::{Running, at};

#[test]
fn a_key_is_taken_in_all_its_forms() {
    let server = Running::start();
    let bare = || Call::get("/api/instances").without_key();
    for call in [
        bare().header("Ocp-Apim-Subscription-Key", KEY),
        bare().header("ocp-apim-subscription-key", KEY),
        bare().header("Authorization", &format!("Bearer {KEY}")),
        bare().header("authorization", &format!("bearer   {KEY}")),
        Call::get(&format!("/api/instances?subscription-key={KEY}")).without_key(),
        bare()
            .header("Ocp-Apim-Subscription-Key", "wrong")
            .header("Authorization", &format!("Bearer {KEY}")),
    ] {
        assert_eq!(server.send(&call).status, 200, "{call:?}");
    }
}

#[test]
fn without_a_good_key_nothing_is_learnt() {
    let server = Running::start();
    let with =
        |path: &str, name: &str, value: &str| Call::get(path).without_key().header(name, value);
    let plain = "/api/instances";
    for call in [
        Call::get(plain).without_key(),
        with(plain, "Ocp-Apim-Subscription-Key", "wrong"),
        with(plain, "Ocp-Apim-Subscription-Key", ""),
        with(plain, "Authorization", KEY),
        with(plain, "Authorization", &format!("Basic {KEY}")),
        with(plain, "Authorization", "Bearer wrong"),
        Call::get("/api/instances?subscription-key=wrong").without_key(),
        Call::get("/api/no/such/route").without_key(),
        Call::get("/nowhere").without_key(),
        Call::get("/metrics").without_key(),
        Call::get("/docsy").without_key(),
        Call::new("PATCH", &at("/data/Customer/c1"))
            .without_key()
            .body("{}"),
        Call::new("DELETE", &at("")).without_key(),
        // Accept, escapes and methods are looked at later.
        with("/api/%zz", "Accept", "text/html"),
    ] {
        let answer = server.send(&call);
        assert_eq!(answer.status, 401, "{call:?}");
        assert_eq!(
            answer.header("WWW-Authenticate"),
            Some("Bearer"),
            "{call:?}"
        );
        assert_eq!(answer.code(), "unauthorized", "{call:?}");
    }
    assert_eq!(server.mock.calls(), [""; 0], "the port was never called");
}

#[test]
fn what_holds_no_data_is_open() {
    let server = Running::start();
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/openapi.json", 200),
        ("/docs", 308),
        ("/docs/", 200),
        ("/docs/swagger-ui-bundle.js", 200),
        ("/docs/no-such-file", 404),
    ] {
        let answer = server.send(&Call::get(path).without_key());
        assert_eq!(answer.status, status, "{path}");
    }
}

#[test]
fn the_key_never_comes_back() {
    let server = Running::start();
    let path = format!("{}?$top=1&subscription-key={KEY}", at("/data/Customer"));
    let answer = server.send(&Call::get(&path).without_key());
    assert!(answer.json()["@odata.nextLink"].is_null() || !answer.text().contains(KEY));
    let path = format!(
        "{}?$top=2000&subscription-key={KEY}&x=1",
        at("/data/Customer")
    );
    let answer = server.send(&Call::get(&path).without_key());
    assert_eq!(answer.status, 400);
    assert!(!answer.text().contains(KEY));
}
