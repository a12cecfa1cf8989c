//! What a timeline shows and in which order (rules 4.3, 4.7, 5.1, 6.4).

use sanntid_engine::{OnUnknownCustomer, TimelineQuery, timeline};
use sanntid_types::{ActivityId, ErrorCode};

use crate::instance::{Instance, ORDERS, at, id, order, orders_config, unified};

const PROFILES: [(&str, &str); 2] = [("a", "k1; k2"), ("b", "k3")];

fn post(instance: &mut Instance, body: &str) {
    instance.post("UnifiedActivity", body).expect(body);
}

fn posted_order(instance: &mut Instance, number: u64, contact: &str) {
    let body = format!(
        r#"{{"OrderId": {number}, "PurchasedOn": "2026-11-01", "ContactId": "{contact}"}}"#
    );
    instance.post(ORDERS, &body).expect("accepted");
}

#[test]
fn source_and_real_time_activities_merge_newest_first_then_by_id() {
    let mut instance = Instance::new();
    let rows = [
        order(1, "10/31/2026", "old", "k1"),
        order(2, "11/01/2026", "same second", "k2"),
        order(3, "11/02/2026", "new", "k1"),
        order(4, "11/02/2026", "another's", "k3"),
    ];
    instance.refresh(&PROFILES, &[], &rows);
    for (name, second) in [("z", 0), ("A", 0), ("m", 30)] {
        post(&mut instance, &unified(name, "a", second));
    }
    posted_order(&mut instance, 5, "k2");
    let expected = [
        "Shop_Orders:3",
        "m",
        "A",
        "Shop_Orders:2",
        "Shop_Orders:5",
        "z",
        "Shop_Orders:1",
    ];
    assert_eq!(instance.ids("a"), expected);
    assert_eq!(instance.ids("b"), ["Shop_Orders:4"]);
    let entries = instance.entries("a", TimelineQuery::default());
    assert_eq!(entries[0].realtime, None);
    assert_eq!(entries[0].activity.title.as_deref(), Some("new"));
    let origin = entries[1].realtime.as_ref().expect("real-time");
    assert_eq!((origin.accepted_at, origin.position.0), (instance.clock, 3));
}

#[test]
fn bounds_are_inclusive_and_resuming_is_strict() {
    let mut instance = Instance::new();
    for (name, second) in [("a", 1), ("b", 2), ("c", 2), ("d", 3)] {
        post(&mut instance, &unified(name, "a", second));
    }
    let moment = |second| at(&format!("2026-11-01T00:00:0{second}Z"));
    let ids = |query| {
        let entries = instance.entries("a", query);
        entries
            .iter()
            .map(|entry| entry.activity.id.as_str())
            .collect::<String>()
    };
    let (all, id) = (TimelineQuery::default, |text| {
        ActivityId::parse(text).expect("id")
    });
    assert_eq!(ids(all()), "dbca");
    assert_eq!(
        ids(TimelineQuery {
            from: moment(2),
            ..all()
        }),
        "dbc"
    );
    assert_eq!(
        ids(TimelineQuery {
            until: moment(2),
            ..all()
        }),
        "bca"
    );
    assert_eq!(
        ids(TimelineQuery {
            from: moment(2),
            until: moment(2),
            ..all()
        }),
        "bc"
    );
    assert_eq!(
        ids(TimelineQuery {
            from: moment(3),
            until: moment(2),
            ..all()
        }),
        ""
    );
    for (second, name, rest) in [
        (3, "d", "bca"),
        (2, "b", "ca"),
        (2, "bb", "ca"),
        (1, "a", ""),
    ] {
        let after = Some((moment(second), id(name)));
        assert_eq!(ids(TimelineQuery { after, ..all() }), rest, "{name}");
    }
    let after = Some((moment(3), id("d")));
    assert_eq!(
        ids(TimelineQuery {
            after,
            until: moment(1),
            ..all()
        }),
        "a"
    );
}

#[test]
fn the_sources_copy_wins_wherever_it_stands() {
    let mut instance = Instance::new();
    posted_order(&mut instance, 1, "k1");
    posted_order(&mut instance, 2, "k1");
    posted_order(&mut instance, 3, "k1");
    posted_order(&mut instance, 4, "k1");
    let rows = [
        order(1, "11/01/2026", "same place", "k1"),
        order(2, "10/01/2026", "another time", "k1"),
        order(3, "11/01/2026", "another customer", "k3"),
        order(4, "11/01/2026", "nobody's", "none"),
    ];
    instance.refresh(&PROFILES, &[], &rows);
    assert_eq!(instance.ids("a"), ["Shop_Orders:1", "Shop_Orders:2"]);
    assert!(
        instance
            .entries("a", TimelineQuery::default())
            .iter()
            .all(|e| e.realtime.is_none())
    );
    assert_eq!(instance.ids("b"), ["Shop_Orders:3"]);
    instance.refresh(&PROFILES, &[], &[]);
    assert_eq!(instance.ids("a").len(), 4, "superseded only hides");
}

#[test]
fn an_expired_activity_is_gone_at_its_very_instant() {
    let mut instance = Instance::new();
    let reject = OnUnknownCustomer::Reject;
    instance
        .post_with("UnifiedActivity", &unified("x", "a", 1), Some(10), reject)
        .expect("new");
    instance.wait(9);
    assert_eq!(instance.ids("a"), ["x"]);
    instance.wait(1);
    assert!(instance.ids("a").is_empty());
}

#[test]
fn a_read_is_never_before_the_last_write() {
    let mut instance = Instance::new();
    let reject = OnUnknownCustomer::Reject;
    instance
        .post_with("UnifiedActivity", &unified("x", "a", 1), Some(10), reject)
        .expect("new");
    instance.wait(10);
    post(&mut instance, &unified("y", "a", 1));
    instance.clock = at("2026-11-23T12:00:05Z");
    assert_eq!(instance.ids("a"), ["y"]);
}

#[test]
fn show_in_timeline_and_the_entity_are_looked_at_when_reading() {
    let mut instance = Instance::new();
    instance.refresh(&PROFILES, &[], &[order(1, "11/01/2026", "s", "k1")]);
    posted_order(&mut instance, 2, "k1");
    let named = |name: &str, entity: &str| {
        unified(name, "a", 1).replacen('{', &format!("{{\"EntityName\": \"{entity}\", "), 1)
    };
    post(&mut instance, &named("names it", "shop_orders"));
    post(&mut instance, &named("names another", "Elsewhere"));
    let all = [
        "names another",
        "names it",
        "Shop_Orders:1",
        "Shop_Orders:2",
    ];
    assert_eq!(instance.ids("a"), all);

    instance.tenant.activities[0].show_in_timeline = false;
    assert_eq!(instance.ids("a"), ["names another"]);
    posted_order(&mut instance, 3, "k1");
    assert_eq!(instance.ids("a"), ["names another"], "stored, not shown");

    instance.tenant.activities.clear();
    assert_eq!(instance.ids("a"), ["names another", "names it"]);

    instance.tenant.activities = vec![orders_config()];
    assert_eq!(instance.ids("a").len(), 5);
    instance
        .tenant
        .entities
        .retain(|entity| entity.schema.name.as_str() != ORDERS);
    assert_eq!(instance.ids("a"), ["names another", "names it"]);
}

#[test]
fn source_rows_are_projected_as_their_generation_was_made() {
    let mut instance = Instance::new();
    instance.refresh(&PROFILES, &[], &[order(1, "11/01/2026", "s", "k1")]);
    instance.tenant.activities[0].activity_type = "Changed".to_owned();
    let entries = instance.entries("a", TimelineQuery::default());
    assert_eq!(entries[0].activity.activity_type, "SalesOrder");
}

#[test]
fn a_split_and_a_merge_move_activities_with_their_customer() {
    let mut instance = Instance::new();
    post(&mut instance, &unified("by id", "b", 1));
    posted_order(&mut instance, 1, "k3");
    instance.refresh(&[("a", "k1;k2;k3")], &[("b", "a")], &[]);
    assert_eq!(instance.ids("a"), ["by id", "Shop_Orders:1"]);
    instance.refresh(&[("a", "k1"), ("b", "k2"), ("c", "k3")], &[], &[]);
    assert_eq!(instance.ids("b"), ["by id"]);
    assert_eq!(instance.ids("c"), ["Shop_Orders:1"]);
    assert!(instance.ids("a").is_empty());
    instance.refresh(&[("a", "k1")], &[], &[]);
    assert!(instance.ids("a").is_empty(), "hidden with its customer");
}

#[test]
fn the_first_page_reads_little() {
    let mut instance = Instance::new();
    let rows: Vec<_> = (0..500)
        .map(|number| order(number, "11/01/2026", "s", "k1"))
        .collect();
    instance.refresh(&PROFILES, &[], &rows);
    for number in 0..500 {
        post(
            &mut instance,
            &unified(&format!("v{number}"), "a", number % 60),
        );
    }
    instance.stored.reads.set(0);
    let (stored, tenant) = (&instance.stored, &instance.tenant);
    let all = TimelineQuery::default();
    let page = timeline(stored, tenant, instance.clock, &id("a"), all)
        .expect("opens")
        .take(50);
    assert_eq!(page.filter(Result::is_ok).count(), 50);
    assert!(stored.reads.get() < 60, "{} read", stored.reads.get());
}

#[test]
fn an_unreadable_store_is_an_error_that_may_pass() {
    let mut instance = Instance::new();
    post(&mut instance, &unified("x", "a", 1));
    instance.stored.broken = true;
    let (stored, tenant) = (&instance.stored, &instance.tenant);
    let result = timeline(
        stored,
        tenant,
        instance.clock,
        &id("a"),
        TimelineQuery::default(),
    );
    assert_eq!(
        result.err().expect("broken").code,
        ErrorCode::TenantUnavailable
    );
}
