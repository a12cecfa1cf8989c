//! Tokens of an identity provider at a whole server: who may do what with one, and why not.

use std::time::Duration;

use sanntid_testkit::{Answer, Http, IdentityProvider, KEY, Sample, TestServer};
use serde_json::{Value, json};

const FIRST: &str = "2026-11-23T10:00:00Z";

struct World {
    server: TestServer,
    provider: IdentityProvider,
    /// Loaded, and with assignments.
    one: Sample,
    /// Loaded, without any.
    two: Sample,
}

impl World {
    fn new() -> Self {
        let provider = IdentityProvider::new();
        let server = TestServer::start_with(|config| {
            provider.configure(config);
            config.identity.operators = vec!["user:root".to_owned(), "group:ops".to_owned()];
        });
        let (one, two) = (Sample::create(&server.http), Sample::create(&server.http));
        for sample in [&one, &two] {
            sample.load(FIRST, &Sample::customers(2), &Sample::orders(1));
        }
        let world = Self {
            server,
            provider,
            one,
            two,
        };
        for (principal, kind, role) in [
            ("vera", "user", "viewer"),
            ("carl", "user", "contributor"),
            ("adam", "user", "administrator"),
            ("readers", "group", "viewer"),
            ("writers", "group", "contributor"),
            ("crm", "app", "contributor"),
        ] {
            world.assign(principal, kind, role);
        }
        world
    }

    fn assign(&self, principal: &str, kind: &str, role: &str) {
        let path = format!("/rbac/principals/{principal}/assignment");
        let body = json!({"principalType": kind, "roles": [role]});
        let http = &self.server.http;
        http.json("PUT", &self.one.path(&path), &body).expect(200);
    }

    /// A client that shows a token of these claims, and no key.
    fn caller(&self, claims: &Value) -> Http {
        self.server.http.with_token(&self.provider.token(claims))
    }

    /// The statuses of a read, a write, a reading of who may do what, and one of the server's.
    fn statuses(&self, claims: &Value, of: &Sample) -> [u16; 4] {
        let http = self.caller(claims);
        let city = json!({"City": "Bergen"});
        [
            http.get(&of.path("/data/Customer/C1")),
            http.json("PATCH", &of.path("/data/Customer/C1"), &city),
            http.get(&of.path("/rbac/assignments")),
            http.get("/metrics"),
        ]
        .map(|answer| answer.status)
    }
}

fn challenge(answer: &Answer) -> String {
    assert_eq!(answer.code(), "unauthorized");
    answer.header("WWW-Authenticate").unwrap().to_owned()
}

#[test]
fn a_token_may_do_what_is_assigned_to_its_user_its_groups_or_its_app_and_nothing_elsewhere() {
    let world = World::new();
    let nobody = [404, 404, 404, 403];
    for (claims, statuses) in [
        (json!({"sub": "vera"}), [200, 403, 403, 403]),
        (json!({"sub": "carl"}), [200, 204, 403, 403]),
        (json!({"sub": "adam"}), [200, 204, 200, 403]),
        (
            json!({"sub": "x", "oid": "adam", "azp": "crm"}),
            [200, 204, 200, 403],
        ),
        (
            json!({"sub": "x", "groups": ["readers"]}),
            [200, 403, 403, 403],
        ),
        (
            json!({"sub": "x", "groups": ["q", "readers", "writers"]}),
            [200, 204, 403, 403],
        ),
        // The highest of one's own and those of one's groups.
        (
            json!({"sub": "vera", "groups": ["writers"]}),
            [200, 204, 403, 403],
        ),
        (json!({"azp": "crm"}), [200, 204, 403, 403]),
        (
            json!({"sub": "crm", "client_id": "crm"}),
            [200, 204, 403, 403],
        ),
        (
            json!({"azp": "other", "groups": ["readers"]}),
            [200, 403, 403, 403],
        ),
        // Not by another kind of the same name, nor by a name alike.
        (json!({"sub": "crm"}), nobody),
        (json!({"azp": "adam"}), nobody),
        (json!({"sub": "readers"}), nobody),
        (json!({"sub": "x", "groups": ["adam", "crm"]}), nobody),
        (json!({"sub": "Adam"}), nobody),
        (json!({"sub": "x", "azp": "crm"}), nobody),
        (json!({"sub": "x"}), nobody),
    ] {
        assert_eq!(world.statuses(&claims, &world.one), statuses, "{claims}");
        assert_eq!(world.statuses(&claims, &world.two), nobody, "{claims}");
    }
    // An operator's may do everything everywhere.
    for claims in [
        json!({"sub": "root"}),
        json!({"sub": "x", "groups": ["ops"]}),
    ] {
        for sample in [&world.one, &world.two] {
            assert_eq!(
                world.statuses(&claims, sample),
                [200, 204, 200, 200],
                "{claims}"
            );
        }
    }
    for claims in [json!({"azp": "root"}), json!({"sub": "ops"})] {
        assert_eq!(world.statuses(&claims, &world.one), nobody, "{claims}");
    }
}

#[test]
fn of_an_instance_without_a_role_a_token_learns_no_more_than_of_one_that_is_not() {
    let world = World::new();
    let vera = world.caller(&json!({"sub": "vera"}));
    let missing = "00000000-0000-4000-8000-000000000000";
    let path = world.two.path("/data/Customer/C1");
    let id = path.split('/').nth(3).unwrap();
    let (there, nowhere) = (vera.get(&path), vera.get(&path.replace(id, missing)));
    assert_eq!((there.status, nowhere.status), (404, 404));
    let message = |answer: &Answer| answer.json()["message"].as_str().unwrap().to_owned();
    assert_eq!(message(&there).replace(id, missing), message(&nowhere));
}

#[test]
fn an_assignment_holds_from_its_answer_on_also_for_a_token_that_was_seen_before() {
    let world = World::new();
    let claims = json!({"sub": "eve"});
    assert_eq!(world.statuses(&claims, &world.one)[..2], [404, 404]);
    world.assign("eve", "user", "viewer");
    assert_eq!(world.statuses(&claims, &world.one)[..2], [200, 403]);
    world.assign("eve", "user", "contributor");
    assert_eq!(world.statuses(&claims, &world.one)[..2], [200, 204]);
    let path = world.one.path("/rbac/principals/eve/assignment");
    world.server.http.delete(&path).expect(200);
    assert_eq!(world.statuses(&claims, &world.one)[..2], [404, 404]);
}

#[test]
fn a_refused_token_is_told_why_and_never_repeated() {
    let world = World::new();
    let path = world.one.path("/data/Customer/C1");
    let now = 1_795_435_200; // The simulated clock's 2026-11-23T12:00:00Z.
    let good = world.provider.token(&json!({"sub": "adam"}));
    let signed = good.rsplit('.').next().unwrap();
    let stranger = IdentityProvider::new().token(&json!({"sub": "adam"}));
    let of = |claims: Value| world.provider.token(&claims);
    for (token, why) in [
        (
            of(json!({"sub": "adam", "exp": now - 61})),
            "it has expired",
        ),
        (
            of(json!({"sub": "adam", "nbf": now + 61})),
            "it is not valid yet",
        ),
        (
            of(json!({"sub": "adam", "aud": "else"})),
            "it is for another audience",
        ),
        (
            of(json!({"sub": "adam", "iss": "else"})),
            "it is of another issuer",
        ),
        (of(json!({"name": "adam"})), "it names nobody"),
        (stranger, "its signature is wrong"),
        (
            "a.b.c".to_owned(),
            "it is not signed, or its header can't be read",
        ),
        (good.replace(signed, ""), "its signature is wrong"),
    ] {
        let answer = world.server.http.with_token(&token).get(&path).expect(401);
        let expected = format!(
            "Bearer error=\"invalid_token\", error_description=\"the token is refused: {why}\""
        );
        assert_eq!(challenge(&answer), expected);
        assert!(!answer.text().contains(&token), "{}", answer.text());
    }
    let none = world.server.http.without_key().get(&path).expect(401);
    assert_eq!(challenge(&none), "Bearer");
    world.server.http.with_token(&good).get(&path).expect(200);
}

#[test]
fn a_token_stands_in_its_header_alone_and_counts_more_than_a_key() {
    let world = World::new();
    let path = world.one.path("/data/Customer/C1");
    let vera = world.provider.token(&json!({"sub": "vera"}));
    let http = world.server.http.without_key();
    let bearer = format!("Bearer {vera}");
    http.get(&format!("{path}?subscription-key={vera}"))
        .expect(401);
    http.send("GET", &path, &[("Ocp-Apim-Subscription-Key", &vera)], b"")
        .expect(401);
    http.send("GET", &path, &[("Authorization", &vera)], b"")
        .expect(401);
    for scheme in ["bearer", "BEARER", "Bearer "] {
        let header = format!("{scheme} {vera}");
        http.send("GET", &path, &[("Authorization", &header)], b"")
            .expect(200);
    }
    // As the published client sends both: what the token says counts.
    let both = [
        ("Ocp-Apim-Subscription-Key", KEY),
        ("Authorization", &bearer),
    ];
    http.send("GET", &path, &both, b"").expect(200);
    http.send("GET", "/metrics", &both, b"").expect(403);
    let spoilt = format!("{bearer}x");
    let both = [
        ("Ocp-Apim-Subscription-Key", KEY),
        ("Authorization", &spoilt),
    ];
    http.send("GET", &path, &both, b"").expect(401);
    // Where tokens are not taken, a key beside one still is.
    let keys_only = TestServer::start();
    let both = [
        ("Ocp-Apim-Subscription-Key", KEY),
        ("Authorization", &bearer),
    ];
    let http = keys_only.http.without_key();
    http.send("GET", "/metrics", &both, b"").expect(200);
    let answer = http.with_token(&vera).get("/metrics").expect(401);
    assert_eq!(challenge(&answer), "Bearer");
}

#[test]
fn a_token_expires_and_keys_rotate_while_the_server_runs() {
    let mut world = World::new();
    let path = world.one.path("/data/Customer/C1");
    let old = world.caller(&json!({"sub": "vera"}));
    let short = world.caller(&json!({"sub": "vera", "exp": 1_795_435_200 + 100}));
    old.get(&path).expect(200);
    short.get(&path).expect(200);
    world.server.clock.advance(Duration::from_secs(159));
    short.get(&path).expect(200);
    world.server.clock.advance(Duration::from_secs(1));
    assert!(challenge(&short.get(&path).expect(401)).contains("it has expired"));
    world.provider.rotate();
    let new = world.caller(&json!({"sub": "vera"}));
    new.get(&path).expect(200);
    let answer = old.get(&path).expect(401);
    assert!(challenge(&answer).contains("its key is not one of the identity provider's"));
    new.get(&path).expect(200);
}

#[test]
fn without_a_provider_that_answers_tokens_wait_and_keys_work() {
    let provider = IdentityProvider::new();
    let server = TestServer::start_with(|config| {
        provider.configure(config);
        // Nobody listens there.
        config.identity.jwks = Some("http://127.0.0.1:1/keys".to_owned());
    });
    let token = provider.token(&json!({"sub": "vera"}));
    let answer = server
        .http
        .with_token(&token)
        .get("/api/instances")
        .expect(503);
    assert_eq!(answer.code(), "identityUnavailable");
    assert_eq!(answer.header("Retry-After"), Some("10"));
    assert_eq!(answer.header("Sanntid-Limit"), Some("identityProvider"));
    server.http.get("/api/instances").expect(200);
}
