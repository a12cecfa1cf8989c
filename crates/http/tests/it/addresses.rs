//! Addresses: both prefixes, other spellings, what is not there, what is not served.

use crate::client::{Call, INSTANCE};
use crate::server::{Running, at};

/// The published operations that are not served, method and path.
pub(crate) const UNSERVED: &str = "
    GET /instances/{i}/dataprofile/Customer
    GET /instances/{i}/dataprofile/Customer/City
    GET /instances/{i}/hierarchies
    POST /instances/{i}/hierarchies
    DELETE /instances/{i}/hierarchies/h
    GET /instances/{i}/hierarchies/h
    PATCH /instances/{i}/hierarchies/h
    POST /instances/{i}/manage/measures
    DELETE /instances/{i}/manage/measures/m
    PUT /instances/{i}/manage/measures/m
    POST /instances/{i}/manage/relationships
    DELETE /instances/{i}/manage/relationships/r
    PUT /instances/{i}/manage/relationships/r
    GET /instances/{i}/manage/search
    PUT /instances/{i}/manage/search
    POST /instances/{i}/manage/segments
    DELETE /instances/{i}/manage/segments/s
    PUT /instances/{i}/manage/segments/s
    PUT /instances/{i}/manage/segments/s/activate
    PUT /instances/{i}/manage/segments/s/deactivate
    GET /instances/{i}/usage
    GET /instances/{i}/rejections
    GET /instances/{i}/feed
    GET /instances/{i}/webhooks
    GET /instances/{i}/data/Customer?$search=a
    GET /instances/{i}/data/Ecommerce_OnlinePurchases
";

#[test]
fn published_operations_outside_are_501_and_say_so() {
    let server = Running::start();
    let lines = UNSERVED
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    for line in lines {
        let (method, path) = line.split_once(' ').expect("two words");
        for prefix in ["/api", "/v1"] {
            let path = format!("{prefix}{}", path.replace("{i}", INSTANCE));
            let answer = server.send(&Call::new(method, &path));
            assert_eq!(answer.status, 501, "{method} {path}: {}", answer.text());
            assert_eq!(answer.code(), "notServed", "{line}");
            assert!(answer.text().contains("serve"), "{line}: {}", answer.text());
        }
    }
}

#[test]
fn every_spelling_reaches_the_same() {
    let server = Running::start();
    for (method, path, other) in [
        ("GET", "/manage/entities", "/manage/tables"),
        (
            "GET",
            "/manage/entities/Customer",
            "/manage/tables/Customer",
        ),
        (
            "GET",
            "/manage/entities/Customer/entitysize",
            "/manage/tables/Customer/entitysize",
        ),
        ("GET", "/workflows/main/jobs", "/manage/workflows/main/jobs"),
        (
            "POST",
            "/workflows/main/jobs",
            "/manage/workflows/Main/jobs",
        ),
    ] {
        let call = |prefix: &str, path: &str| {
            let path = format!("{prefix}/instances/{INSTANCE}{path}");
            let answer = server.send(&Call::new(method, &path));
            assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
            answer.json()
        };
        let first = call("/api", path);
        for (prefix, path) in [("/v1", path), ("/api", other), ("/v1", other)] {
            assert_eq!(call(prefix, path), first, "{prefix}{path}");
        }
    }
}

#[test]
fn what_is_not_there_is_404() {
    let server = Running::start();
    for path in [
        "/",
        "/nowhere",
        "/api",
        "/api/",
        "/v1/instance",
        "/apix/instances",
        "/API/instances",
        "/api/instances/",
        "/v2/instances",
        "/instances",
        "//api/instances",
        "/api//instances",
        "/healthz/",
        &at("/nowhere"),
        &at("/manage"),
        &at("/data"),
        &at("/workflows/main/jobs/"),
    ] {
        let answer = server.send(&Call::get(path));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "routeNotFound"),
            "{path}"
        );
    }
    for (path, code) in [
        ("/api/instances/nobody", "instanceNotFound"),
        (
            "/api/instances/00000000-0000-0000-0000-000000000000",
            "instanceNotFound",
        ),
        ("/api/instances/%20/data/Customer", "instanceNotFound"),
        (&at("/workflows/second/jobs"), "routeNotFound"),
        (&at("/workflows/second/status"), "routeNotFound"),
        (&at("/workflows/main/jobs/7"), "jobNotFound"),
        (&at("/manage/entities/Nobody"), "entityNotFound"),
        (&at("/data/Nobody"), "entityNotFound"),
        (&at("/data/Customer/c9"), "profileNotFound"),
        (&at("/customers/c9/card"), "profileNotFound"),
        (&at("/customers/c9/timeline"), "profileNotFound"),
    ] {
        let answer = server.send(&Call::get(path));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, code),
            "{path}"
        );
    }
}

#[test]
fn a_path_that_is_no_text_is_400_wherever_it_leads() {
    let server = Running::start();
    for path in [
        "/api/%FF",
        "/nowhere%",
        "/healthz%zz",
        "/api/%C3%28",
        &at("/manage/%f0%28"),
    ] {
        let answer = server.send(&Call::get(path));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalidArgument"),
            "{path}"
        );
    }
}

#[test]
fn a_wrong_method_is_405_with_what_is_allowed() {
    let server = Running::start();
    for (method, path, allow) in [
        ("POST", "/api/instances".to_owned(), "GET"),
        ("GET", "/api/instances/V2".to_owned(), "POST"),
        ("PUT", at(""), "GET, DELETE"),
        ("DELETE", at("/manage/realtime"), "GET, PUT"),
        ("GET", at("/manage/reset"), "DELETE"),
        ("PUT", at("/workflows/main/jobs"), "GET, POST"),
        ("PUT", at("/snapshots"), "GET, POST"),
        ("DELETE", at("/manage/measures"), "GET, POST"),
        ("POST", at("/customers/c1/card"), "GET"),
        ("HEAD", "/metrics".to_owned(), "GET"),
        ("POST", "/healthz".to_owned(), "GET"),
    ] {
        let answer = server.send(&Call::new(method, &path));
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
}

#[test]
fn accept_must_allow_json_in_the_api() {
    let server = Running::start();
    for (accept, status) in [
        ("application/json", 200),
        ("text/html, */*;q=0.1", 200),
        ("text/html", 406),
        ("application/json;q=0", 406),
    ] {
        let call = Call::get(&at("/data/Customer")).header("Accept", accept);
        let answer = server.send(&call);
        assert_eq!(answer.status, status, "{accept}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    let metrics = server.send(&Call::get("/metrics").header("Accept", "text/plain"));
    assert_eq!((metrics.status, metrics.text()), (200, "sanntid_up 1\n"));
}

#[test]
fn the_page_and_what_it_shows_are_served_from_here() {
    let server = Running::start();
    let page = server.send(&Call::get("/docs/").without_key());
    assert!(
        page.header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"))
    );
    let start = server.send(&Call::get("/docs/swagger-initializer.js").without_key());
    assert!(start.text().contains("/openapi.json"), "{}", start.text());
    assert!(
        !page.text().contains("https://"),
        "nothing is fetched from elsewhere"
    );
}
