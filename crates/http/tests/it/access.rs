//! Callers with a key of an instance: how it is sent, and what they learn of others.

use sanntid_engine::{Access as _, key_hash};
use sanntid_types::{Actor, ApiKey, KeySlot, Role};
use serde_json::json;

use crate::access_mock::key_text;
use crate::addresses::UNSERVED;
use crate::client::{Call, INSTANCE};
use crate::server::{Running, at};
use crate::stored;

const OTHER: &str = "00000000-0000-4000-8000-000000000000";

/// A server whose instance has both keys, with a role.
fn running(role: Role) -> Running {
    let server = Running::start();
    {
        let keys = &mut server.mock.access.lock().unwrap().keys;
        let key = |slot| ApiKey {
            hash: *key_hash(&key_text(slot)).as_bytes(),
            hint: "1234".to_owned(),
            made_at: stored::at("2026-11-23T12:00:00Z"),
            made_by: Actor::server("test").name,
        };
        keys.role = role;
        keys.primary = Some(key(KeySlot::Primary));
        keys.secondary = Some(key(KeySlot::Secondary));
    }
    assert!(server.mock.access(stored::instance()).is_ok());
    server
}

fn with(slot: KeySlot, method: &str, path: &str) -> Call {
    let call = Call::new(method, path).without_key();
    call.header("Ocp-Apim-Subscription-Key", &key_text(slot))
}

#[test]
fn a_key_of_an_instance_is_taken_in_all_its_forms() {
    let server = running(Role::Viewer);
    for slot in KeySlot::ALL {
        let key = key_text(slot);
        let bare = |path: &str| Call::get(path).without_key();
        for call in [
            with(slot, "GET", &at("")),
            bare(&at("")).header("Authorization", &format!("Bearer {key}")),
            bare(&format!("{}?subscription-key={key}", at(""))),
        ] {
            assert_eq!(server.send(&call).status, 200, "{call:?}");
        }
        let listed = server.send(&with(slot, "GET", "/api/instances")).json();
        assert_eq!(listed[0]["instanceId"], INSTANCE);
        let mine = server.send(&with(slot, "GET", &at("/rbac/myrole"))).json();
        let name = format!("key:{}", slot.name());
        let expected = json!({"principalId": name, "principalType": "app", "roles": ["viewer"],
            "instanceId": INSTANCE});
        assert_eq!(mine, expected);
    }
    for almost in [
        key_text(KeySlot::Primary).to_uppercase(),
        format!("{}0", key_text(KeySlot::Primary)),
        key_text(KeySlot::Primary).replace(&INSTANCE.replace('-', ""), INSTANCE),
    ] {
        let call = Call::get(&at("")).without_key();
        let call = call.header("Ocp-Apim-Subscription-Key", &almost);
        assert_eq!(server.send(&call).status, 401, "{almost}");
    }
}

#[test]
fn what_is_not_served_is_told_of_the_own_instance_alone() {
    let server = running(Role::Viewer);
    let lines = UNSERVED.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty()) {
        let (method, path) = line.split_once(' ').expect("two words");
        let path = |id: &str| format!("/api{}", path.replace("{i}", id));
        let own = server.send(&with(KeySlot::Primary, method, &path(INSTANCE)));
        assert_eq!(own.status, 501, "{line}: {}", own.text());
        let other = server.send(&with(KeySlot::Primary, method, &path(OTHER)));
        let told = (other.status, other.code());
        assert_eq!(told, (404, "instanceNotFound".to_owned()), "{line}");
        assert!(!other.text().contains("serve"), "{line}: {}", other.text());
    }
}

#[test]
fn a_refused_caller_reaches_nothing_behind_the_front_door() {
    let server = running(Role::Viewer);
    for (method, path, body) in [
        ("PATCH", at("/data/Customer/c1"), r#"{"City": "Bergen"}"#),
        ("PUT", at("/manage/realtime"), "{"),
        ("POST", at("/manage/keys/primary/regenerate"), ""),
        ("PUT", at("/manage/keys"), r#"{"role": "administrator"}"#),
        ("DELETE", at("/manage/reset"), ""),
        ("DELETE", at(""), ""),
        ("POST", "/api/instances/V2".to_owned(), "{}"),
        ("POST", "/api/manage/clock/confirm".to_owned(), ""),
        ("GET", "/metrics".to_owned(), ""),
    ] {
        let call =
            with(KeySlot::Secondary, method, &path).header("Content-Type", "application/json");
        let answer = server.send(&call.body(body));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "forbidden"),
            "{method} {path}"
        );
    }
    assert_eq!(server.mock.calls(), [""; 0], "the port was never called");
    assert_eq!(server.mock.access.lock().unwrap().keys.role, Role::Viewer);
}
