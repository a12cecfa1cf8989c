//! Which tokens are good, and why others are not.

use std::time::Duration;

use proptest::prelude::*;
use sanntid_engine::{TokenRefusal, Tokens as _};
use sanntid_identity::Algorithm;
use serde_json::{Value, json};

use crate::fixture::{AUDIENCE, Fixture, ISSUER, NOW, claims, claims_with};
use crate::signer::{Signer, encode};

const ALL: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

fn signers() -> Vec<Signer> {
    let names = ALL.iter();
    names
        .map(|(name, _)| Signer::new(&format!("key of {name}"), name))
        .collect()
}

fn refusal(fixture: &Fixture, token: &str) -> &'static str {
    match fixture.ask(token) {
        Err(TokenRefusal::Invalid(why)) => why,
        Err(TokenRefusal::UnknownKey) => "unknown key",
        Err(TokenRefusal::Unavailable) => "unavailable",
        Ok(name) => panic!("taken as {name}: {token}"),
    }
}

#[test]
fn a_token_is_taken_with_every_algorithm_that_is_configured_and_no_other() {
    let signers = signers();
    let all: Vec<&Signer> = signers.iter().collect();
    for (name, algorithm) in ALL {
        let fixture = Fixture::with(&all, |config| config.algorithms = vec![algorithm]);
        for signer in &signers {
            let token = signer.sign(&claims());
            if signer.algorithm == name {
                assert_eq!(fixture.ask(&token), Ok("user:ada".to_owned()), "{name}");
                assert_eq!(
                    fixture.ask(&token),
                    Ok("user:ada".to_owned()),
                    "{name} again"
                );
            } else {
                assert_eq!(
                    refusal(&fixture, &token),
                    "its algorithm is not taken",
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn a_signature_by_another_key_or_for_another_text_is_wrong() {
    let (good, other) = (Signer::new("a", "ES256"), Signer::new("a", "ES256"));
    let fixture = Fixture::new(&[&good]);
    let token = good.sign(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    let forged = encode(claims_with(&json!({"sub": "root"})).to_string());
    let resigned = other.sign(&claims());
    for bad in [
        resigned.clone(),
        format!("{}.{forged}.{}", parts[0], parts[2]),
        format!(
            "{}.{}.{}",
            parts[0],
            parts[1],
            resigned.rsplit('.').next().unwrap()
        ),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], parts[1], encode([0; 64])),
    ] {
        assert_eq!(refusal(&fixture, &bad), "its signature is wrong", "{bad}");
    }
    assert!(fixture.ask(&token).is_ok());
}

#[test]
fn nobody_can_choose_how_a_token_is_checked() {
    let rsa = Signer::new("rsa", "RS256");
    let (curve, own) = (Signer::new("curve", "ES256"), Signer::new("rsa", "ES256"));
    let fixture = Fixture::new(&[&rsa, &curve]);
    let body = claims().to_string();
    // The public key as a secret: its text, and its numbers.
    for secret in [
        rsa.jwk().to_string().into_bytes(),
        rsa.jwk()["n"].to_string().into_bytes(),
    ] {
        for algorithm in ["HS256", "HS384", "HS512"] {
            let header = json!({"alg": algorithm, "kid": "rsa"}).to_string();
            let message = format!("{}.{}", encode(&header), encode(&body));
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
            let tag = ring::hmac::sign(&key, message.as_bytes());
            let token = format!("{message}.{}", encode(tag));
            assert_eq!(
                refusal(&fixture, &token),
                "its algorithm is not taken",
                "{algorithm}"
            );
        }
    }
    for algorithm in [
        "none", "None", "NONE", "", "rs256", "ES512", "RSA-OAEP", "HS1",
    ] {
        let header = json!({"alg": algorithm, "kid": "rsa"}).to_string();
        let unsigned = format!("{}.{}.", encode(&header), encode(&body));
        let signed = rsa.sign_text(&header, &body);
        for token in [unsigned, signed] {
            let why = refusal(&fixture, &token);
            assert_eq!(
                why, "it is not signed, or its header can't be read",
                "{algorithm}"
            );
        }
    }
    // A good key of another kind, named as the provider's.
    let why = "its key is for another algorithm";
    assert_eq!(refusal(&fixture, &own.sign(&claims())), why);
    let swapped = json!({"alg": "RS256", "kid": "curve"}).to_string();
    assert_eq!(refusal(&fixture, &rsa.sign_text(&swapped, &body)), why);
    let padded = json!({"alg": "PS256", "kid": "rsa"}).to_string();
    let why = refusal(&fixture, &rsa.sign_text(&padded, &body));
    assert_eq!(why, "its signature is wrong");
}

#[test]
fn keys_that_a_token_brings_along_are_never_looked_at() {
    let (good, evil) = (Signer::new("a", "ES256"), Signer::new("evil", "ES256"));
    let fixture = Fixture::new(&[&good]);
    let body = claims().to_string();
    for (kid, why) in [
        (json!("a"), "its signature is wrong"),
        (json!("evil"), "unknown key"),
    ] {
        for (name, value) in [
            ("jwk", evil.jwk()),
            ("jku", json!("http://127.0.0.1:1/keys")),
            ("x5u", json!("http://127.0.0.1:1/chain")),
            ("x5c", json!(["MIIB"])),
        ] {
            let header = json!({"alg": "ES256", "kid": kid, name: value}).to_string();
            assert_eq!(
                refusal(&fixture, &evil.sign_text(&header, &body)),
                why,
                "{name}"
            );
            let header = json!({"alg": "ES256", "kid": "a", name: value}).to_string();
            assert!(
                fixture.ask(&good.sign_text(&header, &body)).is_ok(),
                "{name}"
            );
        }
    }
}

#[test]
fn claims_that_do_not_fit_are_refused_with_the_reason() {
    let signer = Signer::new("a", "EdDSA");
    let fixture = Fixture::new(&[&signer]);
    let (iss, aud) = ("it is of another issuer", "it is for another audience");
    let (no_exp, time) = (
        "it does not say when it expires",
        "a time of it can't be read",
    );
    for (changes, why) in [
        (json!({"exp": NOW - 60}), "it has expired"),
        (json!({"exp": 0}), "it has expired"),
        (json!({"exp": null}), no_exp),
        (json!({"exp": "soon"}), no_exp),
        (json!({"exp": (NOW + 3600).to_string()}), no_exp),
        (json!({"exp": -1}), no_exp),
        (json!({"nbf": NOW + 61}), "it is not valid yet"),
        (json!({"nbf": "now"}), time),
        (json!({"iss": format!("{ISSUER}/")}), iss),
        (json!({"iss": "https://login.example.com/CONTOSO"}), iss),
        (json!({"iss": [ISSUER]}), iss),
        (json!({"iss": null}), "it does not say who made it"),
        (json!({"iss": 1}), "it does not say who made it"),
        (json!({"aud": "api://other"}), aud),
        (json!({"aud": ["api://other", "x"]}), aud),
        (json!({"aud": []}), aud),
        (json!({"aud": ""}), aud),
        (json!({"aud": null}), "it does not say for whom it is"),
        (json!({"aud": {}}), "it does not say for whom it is"),
        (json!({"sub": null}), "it names nobody"),
    ] {
        let token = signer.sign(&claims_with(&changes));
        assert_eq!(refusal(&fixture, &token), why, "{changes}");
        assert_eq!(refusal(&fixture, &token), why, "{changes}, again");
    }
    for changes in [
        json!({"aud": [AUDIENCE]}),
        json!({"aud": ["x", "another"]}),
        json!({"aud": "another"}),
        json!({"nbf": null}),
        json!({"exp": NOW + 1}),
        json!({"more": {"deep": [1, {"exp": 0}]}}),
    ] {
        let token = signer.sign(&claims_with(&changes));
        assert_eq!(fixture.ask(&token), Ok("user:ada".to_owned()), "{changes}");
    }
}

#[test]
fn a_token_is_good_from_its_first_moment_to_its_last_give_or_take_the_leeway() {
    let signer = Signer::new("a", "EdDSA");
    let fixture = Fixture::with(&[&signer], |config| {
        config.leeway = Duration::from_secs(30);
        config.jwks_refresh = Duration::from_secs(24 * 3600);
    });
    let token = signer.sign(&claims_with(&json!({"nbf": NOW + 100, "exp": NOW + 200})));
    // The first round finds it anew, the second in memory.
    for round in ["new", "remembered"] {
        for (second, taken) in [
            (0, false),
            (69, false),
            (70, true),
            (150, true),
            (229, true),
            (230, false),
            (100_000, false),
            // A clock that was put back.
            (150, true),
        ] {
            fixture.clock.set(second);
            assert_eq!(fixture.ask(&token).is_ok(), taken, "{round} at {second}");
        }
        fixture.clock.set(69);
        assert_eq!(refusal(&fixture, &token), "it is not valid yet");
        fixture.clock.set(230);
        assert_eq!(refusal(&fixture, &token), "it has expired");
    }
}

#[test]
fn what_stands_there_twice_or_can_not_be_read_is_refused() {
    let signer = Signer::new("a", "EdDSA");
    let fixture = Fixture::new(&[&signer]);
    let header = r#"{"alg": "EdDSA", "kid": "a"}"#;
    let body = claims().to_string();
    let twice = |claim: &str| format!("{{{claim}, {}", &body[1..]);
    let why = "its claims can't be read, or one stands there twice";
    for bad in [
        twice(r#""sub": "root""#),
        twice(r#""sub": "ada""#),
        twice(r#""exp": 9999999999"#),
        twice(r#""\u0073ub": "root""#),
        twice(r#""aud": "x""#),
        "[]".to_owned(),
        "null".to_owned(),
        String::new(),
        body.replace('}', ""),
        format!("{body} {{}}"),
        "[".repeat(5000),
    ] {
        assert_eq!(
            refusal(&fixture, &signer.sign_text(header, &bad)),
            why,
            "{bad}"
        );
    }
    for bad in [
        r#"{"alg": "EdDSA", "alg": "EdDSA", "kid": "a"}"#,
        r#"{"alg": "EdDSA", "kid": "b", "kid": "a"}"#,
        r#"{"alg": "EdDSA", "kid": 1}"#,
        r#"{"kid": "a"}"#,
        "[]",
        "",
    ] {
        let why = refusal(&fixture, &signer.sign_text(bad, &body));
        assert_eq!(
            why, "it is not signed, or its header can't be read",
            "{bad}"
        );
    }
    for (bad, why) in [
        (
            r#"{"alg": "EdDSA", "kid": "a", "crit": ["b64"], "b64": false}"#,
            "demands",
        ),
        (r#"{"alg": "EdDSA", "kid": "a", "crit": []}"#, "demands"),
        (
            r#"{"alg": "EdDSA", "kid": "a", "enc": "A128GCM"}"#,
            "encrypted",
        ),
        (r#"{"alg": "EdDSA", "kid": "a", "zip": "DEF"}"#, "encrypted"),
        (
            r#"{"alg": "EdDSA", "kid": "a", "typ": "logout+jwt"}"#,
            "type",
        ),
        (r#"{"alg": "EdDSA", "kid": "a", "typ": "dpop+jwt"}"#, "type"),
    ] {
        let got = refusal(&fixture, &signer.sign_text(bad, &body));
        assert!(got.contains(why), "{bad}: {got}");
    }
    for good in [
        r#"{"alg": "EdDSA", "kid": "a"}"#,
        r#"{"alg": "EdDSA", "kid": "a", "typ": "at+jwt"}"#,
        r#"{"alg": "EdDSA", "kid": "a", "typ": "application/at+JWT"}"#,
        r#"{"alg": "EdDSA", "kid": "a", "typ": "jwt", "more": 1}"#,
        // The only key that fits.
        r#"{"alg": "EdDSA"}"#,
    ] {
        assert!(
            fixture.ask(&signer.sign_text(good, &body)).is_ok(),
            "{good}"
        );
    }
}

#[test]
fn a_huge_token_is_refused_unread_and_one_of_many_groups_is_taken() {
    let signer = Signer::new("a", "EdDSA");
    let fixture = Fixture::new(&[&signer]);
    let with_groups = |count: usize| {
        let groups: Vec<Value> = (0..count)
            .map(|number| json!(format!("00000000-0000-0000-0000-{number:012}")))
            .collect();
        signer.sign(&claims_with(&json!({ "groups": groups })))
    };
    assert!(fixture.ask(&with_groups(200)).is_ok());
    assert_eq!(
        refusal(&fixture, &with_groups(400)),
        "it is longer than 16 KiB"
    );
    assert_eq!(
        refusal(&fixture, &"a.".repeat(1 << 20)),
        "it is longer than 16 KiB"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is changed in a good token makes it a bad one, and nothing panics.
    #[test]
    fn a_token_is_taken_as_it_was_signed_or_not_at_all(
        at in any::<prop::sample::Index>(),
        byte in 0x21_u8..0x7f,
        cut in any::<prop::sample::Index>(),
    ) {
        let signer = Signer::new("a", "EdDSA");
        let fixture = Fixture::new(&[&signer]);
        let token = signer.sign(&claims());
        let mut changed = token.clone().into_bytes();
        let at = at.index(changed.len());
        changed[at] = byte;
        let changed = String::from_utf8(changed).unwrap();
        let is_same = changed == token;
        prop_assert_eq!(fixture.verifier.verify(&changed).is_ok(), is_same, "{}", changed);
        let cut = &token[..cut.index(token.len())];
        prop_assert!(fixture.verifier.verify(cut).is_err());
    }

    #[test]
    fn garbage_is_refused(text in "[ -~]{0,200}", parts in "[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}") {
        let signer = Signer::new("a", "EdDSA");
        let fixture = Fixture::new(&[&signer]);
        prop_assert!(fixture.verifier.verify(&text).is_err());
        prop_assert!(fixture.verifier.verify(&parts).is_err());
    }
}
