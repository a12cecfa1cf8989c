//! Every operation that the OpenAPI document tells of × every caller. An operation without a rule
//! fails, and so does one whose rule is not kept.

use sanntid_testkit::{Answer, Http, Sample, TestServer};
use serde_json::{Value, json};

use super::{at, client, renew, set_keys};

/// An id that no instance has.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];
/// The least first; each includes those before it.
const ROLES: [&str; 3] = ["viewer", "contributor", "administrator"];
/// No operation knows it, so that who is let in changes nothing.
const HARMLESS: &str = "no-such-option=1";

/// An operation as the document tells of it.
struct Operation {
    method: String,
    /// With examples in place of all placeholders but the instance.
    path: String,
    needs: String,
}

impl Operation {
    fn is_of_instance(&self) -> bool {
        self.path.contains("{instanceId}")
    }

    fn send(&self, http: &Http, instance: &str) -> Answer {
        let path = self.path.replace("{instanceId}", instance);
        http.send(&self.method, &format!("{path}?{HARMLESS}"), &[], b"")
    }
}

fn operations(http: &Http) -> Vec<Operation> {
    let document = http.get("/openapi.json").expect(200).json();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            let operation = &item[method];
            if operation.is_null() {
                continue;
            }
            let needs = operation["x-sanntid-needs"].as_str().unwrap_or_default();
            let is_known =
                ["nothing", "known", "operator"].contains(&needs) || ROLES.contains(&needs);
            assert!(is_known, "{method} {path} says {needs:?}: who may call it?");
            let is_root = operation["servers"].is_array() || item["servers"].is_array();
            let prefix = if is_root { "" } else { "/api" };
            all.push(Operation {
                method: method.to_uppercase(),
                path: format!("{prefix}{}", filled(path, operation)),
                needs: needs.to_owned(),
            });
        }
    }
    all
}

fn filled(path: &str, operation: &Value) -> String {
    let mut filled = path.to_owned();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap();
        if parameter["in"] == "path" && name != "instanceId" {
            let example = parameter["example"].as_str().unwrap();
            filled = filled.replace(&format!("{{{name}}}"), example);
        }
    }
    filled
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Nobody,
    /// Whoever has a role in the instance, by its place in `ROLES`.
    Role(usize),
    /// The administrator of another instance.
    Other,
    Operator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// 401.
    Unknown,
    /// 403.
    TooLow,
    /// 404, as of an instance that does not exist.
    Missing,
    LetIn,
}

/// What the rules say.
fn expected(operation: &Operation, caller: Caller) -> Outcome {
    let needed = ROLES.iter().position(|role| *role == operation.needs);
    match (operation.needs.as_str(), caller) {
        ("nothing", _) | (_, Caller::Operator) => Outcome::LetIn,
        (_, Caller::Nobody) => Outcome::Unknown,
        (_, Caller::Other) if operation.is_of_instance() => Outcome::Missing,
        ("known", _) => Outcome::LetIn,
        (_, Caller::Role(role)) if needed.is_some_and(|needed| role >= needed) => Outcome::LetIn,
        (_, Caller::Role(_) | Caller::Other) => Outcome::TooLow,
    }
}

fn outcome(answer: &Answer) -> Outcome {
    let is_missing = || answer.code() == "instanceNotFound";
    match answer.status {
        401 => Outcome::Unknown,
        403 => Outcome::TooLow,
        404 if is_missing() => Outcome::Missing,
        _ => Outcome::LetIn,
    }
}

/// An answer without what differs from request to request.
fn told(answer: &Answer, instance: &str) -> (u16, String) {
    let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("requestId");
    }
    (answer.status, body.to_string().replace(instance, "ID"))
}

#[test]
fn every_operation_lets_in_whom_it_says_and_nobody_else() {
    let server = TestServer::start();
    let http = &server.http;
    let [one, two] = [(); 2].map(|()| Sample::create(http).instance);
    set_keys(http, &two, &json!({"role": "administrator"}));
    let own = client(&server, &renew(http, &one, "primary"));
    let other = client(&server, &renew(http, &two, "primary"));
    let nobody = http.without_key();
    let operations = operations(&nobody);
    assert!(operations.len() > 60, "{} operations", operations.len());
    let check = |operation: &Operation, caller: Caller, http: &Http| {
        let answer = operation.send(http, &one);
        let what = format!("{} {} as {caller:?}", operation.method, operation.path);
        let expected = expected(operation, caller);
        assert_eq!(outcome(&answer), expected, "{what}: {}", answer.text());
        if expected == Outcome::Missing {
            let nowhere = operation.send(http, NOBODY);
            assert_eq!(told(&answer, &one), told(&nowhere, NOBODY), "{what}");
        }
    };
    for operation in &operations {
        check(operation, Caller::Nobody, &nobody);
        check(operation, Caller::Other, &other);
        check(operation, Caller::Operator, http);
    }
    for (role, name) in ROLES.into_iter().enumerate() {
        set_keys(http, &one, &json!({"role": name}));
        for operation in &operations {
            check(operation, Caller::Role(role), &own);
        }
    }
    // Nobody who was let in has done anything.
    own.get(&at(&one, "")).expect(200);
    own.get(&at(&one, "/manage/keys")).expect(200);
    other.get(&at(&two, "")).expect(200);
}

/// Addresses below an instance of which the document does not tell.
const ELSEWHERE: [&str; 10] = [
    "/hierarchies",
    "/hierarchies/h",
    "/dataprofile/Customer",
    "/manage/search",
    "/manage/segments/s/activate",
    "/usage",
    "/rejections",
    "/nowhere",
    "/data",
    "/data/Customer('C1')/$value",
];

#[test]
fn what_an_address_does_not_serve_tells_nothing_of_anothers_instance() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(super::FIRST, &Sample::customers(1), &Sample::orders(1));
    let (one, two) = (&sample.instance, &Sample::create(http).instance);
    set_keys(http, two, &json!({"role": "administrator"}));
    let other = client(&server, &renew(http, two, "primary"));
    let viewer = client(&server, &renew(http, one, "primary"));
    set_keys(http, one, &json!({"role": "viewer"}));
    let documented = operations(http);
    let mut paths: Vec<String> = ELSEWHERE.map(|rest| at("{instanceId}", rest)).to_vec();
    paths.extend(documented.iter().map(|operation| operation.path.clone()));
    paths.retain(|path| path.contains("{instanceId}"));
    paths.sort();
    paths.dedup();
    let methods = METHODS.map(str::to_uppercase);
    let others = ["HEAD", "TRACE", "PURGE"].map(str::to_owned);
    let mut refused = 0;
    for path in paths {
        for method in methods.iter().chain(&others) {
            let is_served = |known: &Operation| known.path == path && known.method == *method;
            if documented.iter().any(is_served) {
                continue;
            }
            let operation = Operation {
                method: method.clone(),
                path: path.clone(),
                needs: String::new(),
            };
            let what = format!("{method} {path}");
            let (theirs, nobodys) = (operation.send(&other, one), operation.send(&other, NOBODY));
            assert_eq!(theirs.status, 404, "{what}: {}", theirs.text());
            assert_eq!(told(&theirs, one), told(&nobodys, NOBODY), "{what}");
            let own = operation.send(&viewer, one).status;
            assert!([400, 403, 404, 405, 501].contains(&own), "{what}: {own}");
            refused += 1;
        }
    }
    assert!(refused > 200, "{refused}");
}
