//! One customer's timeline with its filters, page by page.

use sanntid_query::{Page, TimelineParams, timeline_page};
use sanntid_types::{Error, ErrorCode};
use serde_json::Value;

use crate::fixtures::{order, person, visit};
use crate::instance::{Instance, ROWS_MAX, at, id, ids, pairs, split_link};

const URL: &str = "http://h/api/instances/i/customers/a/timeline";

pub(crate) fn page(
    instance: &Instance,
    url: &str,
    profile: &str,
    options: &[(String, String)],
) -> Result<Page, Error> {
    let params = TimelineParams::parse(options)?;
    let (moment, limits) = (instance.moment(), &instance.limits);
    let found = timeline_page(&moment, url, &id(profile), &params, limits)?;
    Ok(found.expect("exists"))
}

fn read(instance: &Instance, options: &[(&str, &str)]) -> Value {
    let page = page(instance, URL, "a", &pairs(options)).expect("reads");
    serde_json::from_str(&page.json).expect("JSON")
}

fn all_pages(instance: &Instance, options: &[(&str, &str)]) -> Vec<Vec<String>> {
    let mut found = read(instance, options);
    let mut pages = vec![ids(&found)];
    while let Some(next) = found["nextLink"].as_str() {
        let (url, options) = split_link(next);
        assert_eq!(url, URL);
        let page = page(instance, &url, "a", &options).expect("reads");
        found = serde_json::from_str(&page.json).expect("JSON");
        pages.push(ids(&found));
        assert!(pages.len() < ROWS_MAX, "pages without end");
    }
    pages
}

fn instance() -> Instance {
    let mut instance = Instance::empty();
    let orders = [order("1", at("2026-11-01T00:00:02Z"), "a1")];
    instance.refresh(
        &[person("a", None, None), person("b", None, None)],
        &[],
        &orders,
    );
    for second in 0..5 {
        let time = format!("2026-11-01T00:00:0{second}Z");
        instance.append(&visit(&format!("v{second}"), "a", &time));
    }
    instance
}

#[test]
fn filters_are_exact_and_bounds_inclusive() {
    let instance = instance();
    let all = ["v4", "v3", "Shop_Orders:1", "v2", "v1", "v0"];
    for (options, expected) in [
        (&[][..], &all[..]),
        (&[("type", "vISIT")], &["v4", "v3", "v2", "v1", "v0"]),
        (&[("type", "Visi")], &[]),
        (&[("type", "")], &[]),
        (&[("from", "2026-11-01T00:00:03Z")], &["v4", "v3"]),
        (&[("to", "2026-11-01T00:00:01")], &["v1", "v0"]),
        (
            &[
                ("from", "2026-11-01T01:00:02 01:00"),
                ("to", "2026-11-01T01:00:02+01:00"),
            ],
            &["Shop_Orders:1", "v2"],
        ),
        (
            &[
                ("from", "2026-11-02T00:00:00Z"),
                ("to", "2026-11-01T00:00:00Z"),
            ],
            &[],
        ),
    ] {
        assert_eq!(ids(&read(&instance, options)), expected, "{options:?}");
        for top in ["1", "2", "3", "5", "6", "1000"] {
            let options = [options, &[("top", top)]].concat();
            let pages = all_pages(&instance, &options);
            assert_eq!(pages.concat(), expected, "{options:?}");
            let full = pages.iter().rev().skip(1);
            assert!(full.clone().all(|page| page.len().to_string() == top));
        }
    }
}

#[test]
fn pages_go_on_across_writes_and_a_move() {
    let mut instance = instance();
    let first = read(&instance, &[("top", "2")]);
    assert_eq!(ids(&first), ["v4", "v3"]);
    instance.append(&visit("new", "a", "2026-11-09T00:00:00Z"));
    instance.append(&visit("v2a", "a", "2026-11-01T00:00:02Z"));
    let orders = [order("1", at("2026-11-01T00:00:02Z"), "b1")];
    instance.refresh(&[person("b", None, None)], &[("a", "b")], &orders);
    let (url, options) = split_link(first["nextLink"].as_str().expect("more"));
    let second = page(&instance, &url, "a", &options).expect("reads");
    assert_eq!(second.id, id("b"));
    let second: Value = serde_json::from_str(&second.json).expect("JSON");
    assert_eq!(ids(&second), ["Shop_Orders:1", "v2"]);
    let (url, options) = split_link(second["nextLink"].as_str().expect("more"));
    assert_eq!(url, URL.replace("/a/", "/b/"));
    let third = page(&instance, &url, "b", &options).expect("reads");
    let third: Value = serde_json::from_str(&third.json).expect("JSON");
    assert_eq!(ids(&third), ["v2a", "v1"]);
}

#[test]
fn bad_options_are_refused_with_their_name() {
    let instance = instance();
    let first = read(&instance, &[("top", "2")]);
    let (_, options) = split_link(first["nextLink"].as_str().expect("more"));
    let (_, token) = options.last().expect("a token");
    for (options, target) in [
        (&[("top", "0")][..], "top"),
        (&[("top", "1001")], "top"),
        (&[("top", "+5")], "top"),
        (&[("top", "")], "top"),
        (&[("top", "1"), ("top", "1")], "top"),
        (&[("from", "yesterday")], "from"),
        (&[("from", "2026-11-01")], "from"),
        (&[("to", "")], "to"),
        (&[("type", "a"), ("type", "a")], "type"),
        (&[("Type", "a")], "Type"),
        (&[("$filter", "a")], "$filter"),
        (&[("skipToken", "x")], "skipToken"),
        (&[("skipToken", "")], "skipToken"),
        (&[("skipToken", token), ("type", "Visit")], "skipToken"),
        (
            &[("skipToken", token), ("to", "2026-11-01T00:00:00Z")],
            "skipToken",
        ),
    ] {
        let error = page(&instance, URL, "a", &pairs(options)).expect_err(target);
        assert_eq!(error.code, ErrorCode::InvalidArgument, "{options:?}");
        assert_eq!(error.target.as_deref(), Some(target), "{options:?}");
    }
    let own = pairs(&[("skipToken", token)]);
    assert!(page(&instance, URL, "a", &own).is_ok());
    assert!(page(&instance, URL, "b", &own).is_err());
}

#[test]
fn a_rare_type_reads_no_further_than_the_limit() {
    let mut instance = instance();
    let rare = [("type", "SalesOrder")];
    instance.limits.scan_rows_max = 6;
    assert_eq!(ids(&read(&instance, &rare)), ["Shop_Orders:1"]);
    instance.limits.scan_rows_max = 5;
    let error = page(&instance, URL, "a", &pairs(&rare)).expect_err("too far");
    assert_eq!(error.code, ErrorCode::FilterNeedsIndex);
    let first = [("type", "SalesOrder"), ("from", "2026-11-01T00:00:02Z")];
    assert_eq!(ids(&read(&instance, &first)), ["Shop_Orders:1"]);
}

#[test]
fn nobody_has_no_timeline() {
    let instance = instance();
    let params = TimelineParams::default();
    let nobody = timeline_page(&instance.moment(), URL, &id("x"), &params, &instance.limits);
    assert_eq!(nobody, Ok(None));
    let params = TimelineParams {
        top: Some(0),
        ..params
    };
    assert!(timeline_page(&instance.moment(), URL, &id("a"), &params, &instance.limits).is_err());
}
