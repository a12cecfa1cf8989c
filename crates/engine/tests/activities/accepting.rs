//! Whose activity it is, how long it lives and what is stored (rules 4.4, 4.6, 2.2).

use sanntid_engine::{AppendActivity, Appended, OnUnknownCustomer, Owner, Record};
use sanntid_types::{ActivityState, CallerName, ErrorCode, Instant, Settings};

use crate::instance::{Instance, ORDERS, id, order, seconds, unified};

const ORDER: &str = r#"{"OrderId": 1, "PurchasedOn": "2026-11-01", "ContactId": "KEY"}"#;

fn outcome(appended: &Appended) -> (ActivityState, &Owner) {
    match appended {
        Appended::New { activity, .. } => (activity.state, &activity.owner),
        Appended::Replayed { .. } => panic!("nothing was there before"),
    }
}

#[test]
fn a_new_activity_stores_itself_its_identity_and_the_head() {
    let mut instance = Instance::new();
    instance.tenant.open_refresh(instance.clock);
    let caller = CallerName::parse("crm").expect("caller");
    let body = unified("x", "a", 1);
    let command = AppendActivity {
        entity: "UnifiedActivity",
        body: body.as_bytes(),
        valid_until: None,
        caller: Some(caller.clone()),
        on_unknown: OnUnknownCustomer::Reject,
    };
    let Ok(Appended::New { records, activity }) = instance.decide(&command) else {
        panic!("accepted")
    };
    assert_eq!(activity.caller, Some(caller));
    assert_eq!(activity.position, instance.tenant.position.next());
    assert!(
        activity.accepted_at > instance.clock,
        "after the refresh that is open"
    );
    assert_eq!(
        activity.expires_at,
        activity.accepted_at.plus(Settings::TTL_MAX)
    );
    let [
        Record::Activity {
            activity: stored,
            identity,
        },
        Record::Head {
            position,
            accepted_at,
        },
    ] = &records[..]
    else {
        panic!("{records:?}")
    };
    assert_eq!(*stored, activity);
    assert_eq!(
        (identity.state, identity.time),
        (activity.state, activity.activity.time)
    );
    assert_eq!(
        (&identity.owner, identity.expires_at),
        (&activity.owner, activity.expires_at)
    );
    assert_eq!(
        (*position, *accepted_at),
        (activity.position, activity.accepted_at)
    );
}

#[test]
fn an_unknown_customer_is_refused_by_name_and_nothing_is_stored() {
    for mut instance in [Instance::new(), Instance::empty()] {
        let error = instance
            .post("UnifiedActivity", &unified("x", "zz", 1))
            .expect_err("no zz");
        assert_eq!(error.code, ErrorCode::CustomerNotFound);
        assert_eq!(error.target.as_deref(), Some("CustomerId"));
        assert!(error.message.contains("zz"));
        assert!(instance.stored.realtime.is_empty() && instance.stored.identities.is_empty());
    }
    let error = Instance::new()
        .post(ORDERS, &ORDER.replace("KEY", "k9"))
        .expect_err("no k9");
    assert_eq!(error.code, ErrorCode::KeyNotResolved);
    assert_eq!(error.target.as_deref(), Some("ContactId"));
    assert!(error.message.contains("k9"));
}

#[test]
fn a_held_activity_shows_as_soon_as_its_customer_is_known() {
    let mut instance = Instance::empty();
    let hold = OnUnknownCustomer::Hold;
    let held = instance.post_with("UnifiedActivity", &unified("x", "c", 1), None, hold);
    assert_eq!(
        outcome(&held.expect("held")),
        (ActivityState::Held, &Owner::Profile(id("c")))
    );
    instance.refresh(&[("a", "k1")], &[], &[]);
    let held = instance
        .post_with(ORDERS, &ORDER.replace("KEY", "k8"), None, hold)
        .expect("held");
    let key = Owner::Key {
        entity: "Shop_Contacts".to_owned(),
        key: "k8".to_owned(),
    };
    assert_eq!(outcome(&held), (ActivityState::Held, &key));
    assert!(instance.ids("a").is_empty());
    instance.refresh(&[("a", "k1"), ("c", "k7;k8")], &[], &[]);
    assert_eq!(instance.ids("c"), ["x", "Shop_Orders:1"]);
}

#[test]
fn holding_changes_nothing_for_a_known_customer() {
    let mut instance = Instance::new();
    let hold = OnUnknownCustomer::Hold;
    let stored = instance.post_with("UnifiedActivity", &unified("x", "a", 1), None, hold);
    assert_eq!(outcome(&stored.expect("stored")).0, ActivityState::Stored);
    let stored = instance.post_with(ORDERS, &ORDER.replace("KEY", "k2"), None, hold);
    assert_eq!(outcome(&stored.expect("stored")).0, ActivityState::Stored);
}

#[test]
fn an_activity_of_a_moved_customer_belongs_to_the_new_profile() {
    let mut instance = Instance::new();
    instance
        .post("UnifiedActivity", &unified("before", "b", 1))
        .expect("stored");
    instance.refresh(&[("a", "k1;k3")], &[("b", "a")], &[]);
    let after = instance
        .post("UnifiedActivity", &unified("after", "b", 2))
        .expect("stored");
    assert_eq!(outcome(&after).1, &Owner::Profile(id("a")));
    assert_eq!(instance.ids("a"), ["after", "before"]);
}

#[test]
fn valid_until_has_its_default_and_limits() {
    let mut instance = Instance::new();
    instance.tenant.settings.activity_ttl_default = seconds(60);
    let mut post = |name: &str, ttl| {
        let body = unified(name, "a", 1);
        let reject = OnUnknownCustomer::Reject;
        let expires = |appended| match appended {
            Appended::New { activity, .. } => activity.expires_at,
            Appended::Replayed { .. } => Instant::MIN,
        };
        instance
            .post_with("UnifiedActivity", &body, ttl, reject)
            .map(expires)
            .map_err(|e| e.code)
    };
    let max = Settings::TTL_MAX.as_secs();
    let now = Instance::new().clock;
    assert_eq!(post("1", None), Ok(now.plus(seconds(60))));
    assert_eq!(post("2", Some(1)), Ok(now.plus(seconds(1))));
    assert_eq!(post("3", Some(max + 300)), Ok(now.plus(seconds(max))));
    for bad in [0, max + 301] {
        assert_eq!(post("4", Some(bad)), Err(ErrorCode::ValidUntilOutOfRange));
    }
}

#[test]
fn a_key_that_moves_to_another_profile_takes_its_activities_along() {
    let mut instance = Instance::new();
    instance
        .post(ORDERS, &ORDER.replace("KEY", "k2"))
        .expect("stored");
    instance.refresh(
        &[("a", "k1"), ("b", "k3;k2")],
        &[],
        &[order(9, "11/01/2026", "s", "k1")],
    );
    assert_eq!(instance.ids("a"), ["Shop_Orders:9"]);
    assert_eq!(instance.ids("b"), ["Shop_Orders:1"]);
}
