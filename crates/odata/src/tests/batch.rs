//! JSON batches: what an item says, what is refused, and how.

use sanntid_types::ErrorCode;

use crate::{BatchItem, BatchMethod, BatchTarget, ITEMS_MAX, parse_batch};

fn one(members: &str) -> BatchItem {
    let json = format!(r#"{{"requests": [{{"id": "1", {members}}}]}}"#);
    let items = parse_batch(json.as_bytes());
    items.expect(members).pop().expect("an item")
}

#[test]
fn an_item_says_where_and_what() {
    let item = one(r#""method": "pAtCh", "url": "Customer('c1')?caller=x",
        "headers": {"If-Match": "\"a\"", "content-type": "application/json"},
        "body": {"City": "Os\u006co"}"#);
    assert_eq!(item.method, BatchMethod::Patch);
    let url = "Customer('c1')?caller=x".to_owned();
    assert_eq!(item.target, BatchTarget::Relative(url));
    assert_eq!(item.headers.len(), 2);
    let body = item.body.expect("a body");
    assert_eq!(body.get(), r#"{"City": "Os\u006co"}"#, "as it was sent");
    assert!(item.refusal.is_none() && item.depends_on.is_empty());
    assert!(
        parse_batch(br#"{"requests": []}"#)
            .expect("none")
            .is_empty()
    );
}

#[test]
fn urls_are_absolute_or_relative() {
    let absolute = |host: Option<&str>, path: &str| BatchTarget::Absolute {
        host: host.map(str::to_owned),
        path: path.to_owned(),
    };
    let relative = |url: &str| BatchTarget::Relative(url.to_owned());
    for (url, expected) in [
        ("Customer", relative("Customer")),
        ("Customer?a=http://x", relative("Customer?a=http://x")),
        ("Customer('a://b')", relative("Customer('a://b')")),
        ("/api/x", absolute(None, "/api/x")),
        ("http://h:1/api/x?y", absolute(Some("h:1"), "/api/x?y")),
        ("HTTPS://h", absolute(Some("h"), "")),
        ("https://h?x", absolute(Some("h"), "?x")),
    ] {
        let item = one(&format!(r#""method": "get", "url": "{url}""#));
        assert_eq!(item.target, expected, "{url}");
    }
}

#[test]
fn a_batch_that_can_not_be_understood_is_refused_as_a_whole() {
    for (body, hint) in [
        ("", "no batch"),
        ("[]", "no batch"),
        ("{}", "requests"),
        (r#"{"requests": {}}"#, "list of requests"),
        (r#"{"requests": [], "more": 1}"#, "more"),
        (r#"{"requests": [1]}"#, "struct Item"),
        (r#"{"requests": [{"method": "get", "url": "a"}]}"#, "`id`"),
        (
            r#"{"requests": [{"id": 1, "method": "get", "url": "a"}]}"#,
            "string",
        ),
        (
            r#"{"requests": [{"id": "", "method": "get", "url": "a"}]}"#,
            "an id has",
        ),
        (r#"{"requests": [{"id": "1", "method": "get"}]}"#, "`url`"),
        (
            r#"{"requests": [{"id": "1", "method": "head", "url": "a"}]}"#,
            "no method",
        ),
        (
            r#"{"requests": [{"id": "1", "method": "get", "url": ""}]}"#,
            "url is empty",
        ),
        (
            r#"{"requests": [{"id": "1", "method": "get", "url": "a#b"}]}"#,
            "fragment",
        ),
        (
            r#"{"requests": [{"id": "1", "method": "get", "url": "//h/a"}]}"#,
            "scheme",
        ),
        (
            r#"{"requests": [{"id": "1", "method": "get", "url": "ftp://h/a"}]}"#,
            "scheme",
        ),
        (
            r#"{"requests": [{"id": "1", "method": "get", "url": "a", "x": 1}]}"#,
            "`x`",
        ),
        (
            r#"{"requests": [{"id": "1", "method": "get", "url": "a", "headers": {"a": 1}}]}"#,
            "string",
        ),
        (
            r#"{"requests": [{"id": "1", "method": "get", "url": "a", "dependsOn": ["1"]}]}"#,
            "depends on",
        ),
        (
            r#"{"requests": [{"id": "1", "method": "get", "url": "a", "atomicityGroup": "1"}]}"#,
            "the same name",
        ),
    ] {
        let error = parse_batch(body.as_bytes()).expect_err(body);
        let all = format!("{error} {:?}", error.details);
        assert!(all.contains(hint), "{body}: {all}");
    }
}

#[test]
fn every_bad_item_is_listed_with_its_place() {
    let body = br#"{"requests": [
        {"id": "a", "method": "get", "url": "x", "dependsOn": ["b"]},
        {"id": "b", "method": "get", "url": "x", "dependsOn": ["a"]},
        {"id": "b", "method": "get", "url": "x"}
    ]}"#;
    let error = parse_batch(body).expect_err("twice bad");
    let targets = error.details.iter().map(|detail| detail.target.as_str());
    assert_eq!(targets.collect::<Vec<_>>(), ["requests/0", "requests/2"]);
}

#[test]
fn what_is_not_done_is_refused_item_by_item() {
    for (member, target) in [
        (
            r#""url": "Customer", "atomicityGroup": "g""#,
            "atomicityGroup",
        ),
        (r#""url": "Customer", "if": "$0 eq 1""#, "if"),
        (r#""url": "$0/Orders""#, "url"),
    ] {
        let refusal = one(&format!(r#""method": "get", {member}"#)).refusal;
        let refusal = refusal.expect(member);
        assert_eq!(refusal.code, ErrorCode::NotServed);
        assert_eq!(refusal.target.as_deref(), Some(target));
    }
    let own = one(r#""method": "get", "url": "$metadata""#);
    assert!(own.refusal.is_none(), "whoever does it says what it is");
}

#[test]
fn a_batch_has_so_many_items_and_no_more() {
    let items = |count: usize| {
        let item = |id| format!(r#"{{"id": "{id}", "method": "get", "url": "a"}}"#);
        let all: Vec<String> = (0..count).map(item).collect();
        format!(r#"{{"requests": [{}]}}"#, all.join(","))
    };
    let most = parse_batch(items(ITEMS_MAX).as_bytes()).expect("allowed");
    assert_eq!(most.len(), ITEMS_MAX);
    let error = parse_batch(items(ITEMS_MAX + 1).as_bytes()).expect_err("one more");
    assert!(error.message.contains("more than 1000"), "{error}");
}
