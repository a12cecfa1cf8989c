//! The OpenAPI document: its examples are good requests, and its answers the real ones.

use serde_json::Value;

use crate::client::Call;
use crate::server::Running;
use crate::workflows::load_segments;

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

fn document(server: &Running) -> Value {
    server
        .send(&Call::get("/openapi.json").without_key())
        .json()
}

/// Every operation: method, path, and what the document says of it.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let mut all = Vec::new();
    for (path, item) in paths {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                all.push((method.to_uppercase(), path.clone(), operation.clone()));
            }
        }
    }
    all
}

/// A path whose placeholders are filled with the examples.
fn filled(path: &str, operation: &Value) -> String {
    let mut filled = path.to_owned();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        if parameter["in"] != "path" {
            continue;
        }
        let name = parameter["name"].as_str().expect("a name");
        let example = parameter["example"].as_str().expect("an example");
        filled = filled.replace(&format!("{{{name}}}"), example);
    }
    assert!(
        !filled.contains('{'),
        "{path}: a placeholder is not described"
    );
    filled
}

/// The options that have an example.
fn options(operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let options = parameters
        .filter(|parameter| parameter["in"] == "query")
        .filter_map(|p| {
            let example = match &p["example"] {
                Value::Null => return None,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let example = example.replace(' ', "%20");
            Some(format!("{}={example}", p["name"].as_str().expect("a name")))
        });
    options.collect::<Vec<_>>().join("&")
}

#[test]
fn every_documented_call_is_answered_as_documented() {
    let server = Running::start();
    load_segments(&server);
    let document = document(&server);
    assert_eq!(document["openapi"], "3.1.0");
    let operations = operations(&document);
    assert!(operations.len() > 40, "{}", operations.len());
    for (method, path, operation) in operations {
        let is_root = !["/instances", "/manage"]
            .iter()
            .any(|start| path.starts_with(start));
        let prefix = if is_root { "" } else { "/v1" };
        let mut query = options(&operation);
        if path == "/instances/{instanceId}/profile/keyring" {
            query = query.replace("CNTID_1002", "CNTID_1");
        }
        let query = if query.is_empty() {
            query
        } else {
            format!("?{query}")
        };
        let mut call = Call::new(
            &method,
            &format!("{prefix}{}{query}", filled(&path, &operation)),
        );
        if let Some(content) = operation["requestBody"]["content"].as_object() {
            let (kind, media) = content.iter().next().expect("a content type");
            call = call.header("Content-Type", kind);
            call = match &media["example"] {
                Value::String(text) => call.body(text.as_str()),
                Value::Null => panic!("{method} {path} has no example"),
                json => call.body(json.to_string()),
            };
        }
        let answer = server.send(&call);
        let status = answer.status.to_string();
        assert!(
            answer.status < 400,
            "{method} {path}: {status} {}",
            answer.text()
        );
        let documented = operation["responses"].get(&status);
        assert!(
            documented.is_some(),
            "{method} {path}: {status} is not documented"
        );
        if let Some(example) = documented.and_then(|answer| answer["content"].as_object()) {
            assert!(!example.is_empty(), "{method} {path}");
        }
    }
}

#[test]
fn every_operation_says_what_it_needs_and_how_it_fails() {
    let server = Running::start();
    let document = document(&server);
    let mut ids = Vec::new();
    for (method, path, operation) in operations(&document) {
        let what = format!("{method} {path}");
        ids.push(operation["operationId"].as_str().expect("an id").to_owned());
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(!summary.is_empty(), "{what} has no summary");
        let is_open = ["/healthz", "/readyz", "/openapi.json", "/docs"].contains(&path.as_str());
        assert_eq!(operation["security"].is_array(), !is_open, "{what}");
        let responses = operation["responses"].as_object().expect("responses");
        assert_eq!(responses.contains_key("401"), !is_open, "{what}");
        if path.starts_with("/instances") {
            for status in ["400", "404", "406", "500", "503"] {
                assert!(responses.contains_key(status), "{what} lacks {status}");
            }
        }
        let unauthorized = server.send(&Call::new(&method, &path_of(&path)).without_key());
        assert_eq!(unauthorized.status == 401, !is_open, "{what}");
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "operation ids are unique");
}

fn path_of(path: &str) -> String {
    let prefix = if ["/instances", "/manage"]
        .iter()
        .any(|start| path.starts_with(start))
    {
        "/api"
    } else {
        ""
    };
    format!("{prefix}{path}").replace(['{', '}'], "")
}

#[test]
fn every_reference_leads_somewhere() {
    let server = Running::start();
    let document = document(&server);
    let text = document.to_string();
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().expect("a name");
        assert!(schemas.contains_key(name), "{name}");
    }
}
