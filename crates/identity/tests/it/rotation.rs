//! Keys that change: in time for new tokens, and to the end of old ones.

use std::time::Duration;

use sanntid_engine::{TokenRefusal, Tokens as _};
use sanntid_identity::{Config, StartError, Verifier};

use crate::fixture::{Fixture, TestClock, claims, config, key_set, wait};
use crate::signer::Signer;

const UNKNOWN: Result<String, TokenRefusal> = Err(TokenRefusal::UnknownKey);

fn ada() -> Result<String, TokenRefusal> {
    Ok("user:ada".to_owned())
}

#[test]
fn a_new_key_is_taken_at_once_and_the_old_one_is_refused() {
    let (old, new) = (Signer::new("old", "ES256"), Signer::new("new", "ES256"));
    let fixture = Fixture::new(&[&old]);
    let (old_token, new_token) = (old.sign(&claims()), new.sign(&claims()));
    assert_eq!(fixture.ask(&old_token), ada());
    // As providers do it: both for a while, then the new one alone.
    fixture.replace_keys(&key_set(&[&old, &new]));
    assert_eq!(fixture.ask(&old_token), ada(), "remembered");
    assert_eq!(fixture.ask(&new_token), ada());
    assert_eq!(fixture.ask(&old_token), ada());
    fixture.replace_keys(&key_set(&[&new]));
    fixture.clock.advance(Duration::from_secs(30));
    wait(&fixture.verifier);
    assert_eq!(fixture.ask(&old_token), UNKNOWN, "also what was remembered");
    assert_eq!(fixture.ask(&new_token), ada());
}

#[test]
fn a_key_that_was_made_anew_under_its_name_replaces_the_other() {
    let (old, new) = (Signer::new("a", "ES256"), Signer::new("a", "ES256"));
    let fixture = Fixture::new(&[&old]);
    let (old_token, new_token) = (old.sign(&claims()), new.sign(&claims()));
    assert_eq!(fixture.ask(&old_token), ada());
    fixture.replace_keys(&key_set(&[&new]));
    wait(&fixture.verifier);
    let wrong = Err(TokenRefusal::Invalid("its signature is wrong"));
    assert_eq!(fixture.ask(&old_token), wrong);
    assert_eq!(fixture.ask(&new_token), ada());
}

#[test]
fn unknown_keys_have_the_keys_read_again_every_thirty_seconds_at_most() {
    let (old, new) = (Signer::new("old", "EdDSA"), Signer::new("new", "EdDSA"));
    let fixture = Fixture::new(&[&old]);
    let token = new.sign(&claims());
    assert_eq!(fixture.ask(&token), UNKNOWN, "read again, and not there");
    fixture.replace_keys(&key_set(&[&old, &new]));
    assert_eq!(fixture.ask(&token), UNKNOWN, "not read again");
    fixture.clock.advance(Duration::from_secs(29));
    assert_eq!(fixture.ask(&token), UNKNOWN, "not yet");
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(fixture.ask(&token), ada());
}

#[test]
fn a_key_that_was_taken_back_is_refused_once_the_keys_are_due() {
    let (old, new) = (Signer::new("old", "EdDSA"), Signer::new("new", "EdDSA"));
    let fixture = Fixture::with(&[&old, &new], |config| {
        config.jwks_refresh = Duration::from_secs(60);
    });
    let token = old.sign(&claims());
    assert_eq!(fixture.ask(&token), ada());
    fixture.replace_keys(&key_set(&[&new]));
    fixture.clock.advance(Duration::from_secs(60));
    // It asks for a reading, as the thread does by its own time, and does not wait for it.
    drop(fixture.verifier.verify(&token));
    wait(&fixture.verifier);
    assert_eq!(fixture.ask(&token), UNKNOWN);
}

#[test]
fn keys_that_can_not_be_read_any_more_serve_for_a_while_and_no_longer() {
    let signer = Signer::new("a", "EdDSA");
    let fixture = Fixture::with(&[&signer], |config| {
        config.jwks_refresh = Duration::from_secs(10);
        config.jwks_stale_max = Duration::from_secs(1000);
    });
    let token = signer.sign(&claims());
    for garbage in ["", "<html>", "{}", "{\"keys\": {}}"] {
        fixture.replace_keys(garbage);
        fixture.clock.advance(Duration::from_secs(100));
        wait(&fixture.verifier);
        assert_eq!(fixture.ask(&token), ada(), "{garbage}");
    }
    fixture.clock.advance(Duration::from_secs(599));
    assert_eq!(fixture.ask(&token), ada(), "999 s old");
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(fixture.ask(&token), Err(TokenRefusal::Unavailable));
    fixture.replace_keys(&key_set(&[&signer]));
    fixture.clock.advance(Duration::from_secs(30));
    assert_eq!(fixture.ask(&token), ada(), "and again");
    // A set without keys is an answer: nothing is taken.
    fixture.replace_keys("{\"keys\": []}");
    fixture.clock.advance(Duration::from_secs(30));
    wait(&fixture.verifier);
    assert_eq!(fixture.ask(&token), UNKNOWN);
}

#[test]
fn a_file_that_holds_no_keys_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let start = || {
        let config = Config {
            jwks: Some(path.to_str().unwrap().to_owned()),
            ..config()
        };
        match Verifier::start(&config, TestClock::new()) {
            Err(StartError::Keys(reason)) => reason,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("started"),
        }
    };
    assert!(start().contains("keys.json"), "missing");
    std::fs::write(&path, "nothing").unwrap();
    assert!(start().contains("no set of keys"));
    std::fs::write(&path, " ".repeat((1 << 20) + 1)).unwrap();
    assert!(start().contains("longer than 1 MiB"));
    assert!(
        Verifier::start(&Config::default(), TestClock::new())
            .unwrap()
            .is_none()
    );
}
