//! Tests of the layers, their order, what they refuse, and of their documentation.

use std::time::Duration;

use super::*;

fn environment_of(pairs: &[(&str, &str)]) -> Environment {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn flags_of(file: Option<&str>, set: &[&str]) -> (Flags, Option<tempfile::NamedTempFile>) {
    let written = file.map(|text| {
        let written = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(written.path(), text).unwrap();
        written
    });
    let flags = Flags {
        config: written.as_ref().map(|file| file.path().to_owned()),
        set: set.iter().map(|text| (*text).to_owned()).collect(),
        ..Flags::default()
    };
    (flags, written)
}

fn load(file: Option<&str>, env: &[(&str, &str)], set: &[&str]) -> Result<Config, String> {
    let (flags, _written) = flags_of(file, set);
    Config::load(&flags, &environment_of(env)).map_err(|error| format!("{error:#}"))
}

#[test]
fn without_any_layer_the_defaults_hold_and_they_are_valid() {
    let config = load(None, &[], &[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.store, StoreConfig::default());
    assert_eq!(config.log, LogConfig::default());
    assert_eq!(config.admin_key, None);
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "listen = \"127.0.0.1:1\"\n[store]\ncache_bytes = \"2MiB\"\n\
                stall_wait_max = \"1s\"\nworker_threads = 3";
    let env = [
        ("SANNTID_STORE_STALL_WAIT_MAX", "2s"),
        ("SANNTID_STORE_WORKER_THREADS", "4"),
        ("SANNTID_LISTEN", "127.0.0.1:2"),
        ("SANNTID_INSECURE_LISTEN", "true"),
    ];
    let config = load(
        Some(file),
        &env,
        &["store.worker_threads=5", "listen=127.0.0.1:3"],
    );
    let config = config.unwrap();
    assert_eq!(config.store.cache_bytes, 2 << 20);
    assert_eq!(config.store.stall_wait_max, Duration::from_secs(2));
    assert_eq!(config.store.worker_threads, 5);
    assert_eq!(config.listen.port(), 3);
    assert!(config.insecure_listen);
}

#[test]
fn the_file_can_be_named_in_the_environment() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[log]\nlevel = \"debug\"").unwrap();
    let path = file.path().to_str().unwrap();
    let env = environment_of(&[("SANNTID_CONFIG", path)]);
    let config = Config::load(&Flags::default(), &env).unwrap();
    assert_eq!(config.log.level, "debug");
}

#[test]
fn a_bad_layer_is_refused_with_its_key_and_where_it_was_set() {
    /// File, environment, `--set`, and what the message has to hold.
    type Line<'a> = (
        &'a str,
        &'a [(&'a str, &'a str)],
        &'a [&'a str],
        &'a [&'a str],
    );
    let tables: &[Line<'_>] = &[
        (
            "[store]\ncache_byts = 1",
            &[],
            &[],
            &["store.cache_byts", "unknown key", "config file"],
        ),
        (
            "[stor]\na = 1",
            &[],
            &[],
            &["stor: unknown key", "store, actors, secrets"],
        ),
        (
            "",
            &[("SANNTID_STORE_CACHE", "1")],
            &[],
            &["store.cache: unknown", "SANNTID_STORE_CACHE"],
        ),
        (
            "",
            &[("SANNTID_STORE_STALL_WAIT_MAX", "30")],
            &[],
            &["\"30s\"", "SANNTID_STORE_STALL_WAIT_MAX"],
        ),
        (
            "",
            &[],
            &["log.format=xml"],
            &["log.format: expected one of auto, text, json", "--set"],
        ),
        ("", &[], &["store"], &["--set store", "key=value"]),
        (
            "listen = \"nowhere\"",
            &[],
            &[],
            &["listen: ", "config file"],
        ),
        ("listen = ", &[], &[], &["config file"]),
        (
            "[store]\nworker_threads = 1",
            &[],
            &[],
            &["[store]", "worker_threads", "2 to 64"],
        ),
        ("[log]\nlevel = \"a=b=c\"", &[], &[], &["log.level"]),
        ("data_dir = \"\"", &[], &[], &["data_dir"]),
        (
            "admin_key = \"0123456789abcdef0123456789abcdef\"",
            &[],
            &[],
            &["admin_key: unknown key"],
        ),
        (
            "",
            &[("SANNTID_ADMIN_KEY", "short")],
            &[],
            &["SANNTID_ADMIN_KEY", "visible ASCII"],
        ),
    ];
    for (file, env, set, parts) in tables {
        let message = load(Some(file), env, set).expect_err(file);
        for part in *parts {
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        }
    }
    let (mut flags, _) = flags_of(None, &[]);
    flags.config = Some(PathBuf::from("/nowhere/sanntid.toml"));
    let message = Config::load(&flags, &Environment::new()).unwrap_err();
    assert!(format!("{message:#}").contains("/nowhere/sanntid.toml"));
}

#[test]
fn other_variables_with_our_prefix_are_passed_over() {
    let env = [
        ("SANNTID_URL", "http://x"),
        ("SANNTID_KEY", "k"),
        ("SANNTID_SERVICE_HOST", "10.0.0.1"),
        ("SANNTID_PORT", "tcp://10.0.0.1:80"),
    ];
    assert!(load(None, &env, &[]).is_ok());
}

#[test]
fn only_loopback_needs_no_word_about_tls() {
    for (listen, fine) in [
        ("127.0.0.1:0", true),
        ("127.9.9.9:80", true),
        ("[::1]:80", true),
        ("0.0.0.0:80", false),
        ("[::]:80", false),
        ("192.168.1.2:80", false),
    ] {
        let set = format!("listen={listen}");
        let refused = load(None, &[], &[&set]);
        assert_eq!(refused.is_ok(), fine, "{listen}");
        if let Err(message) = refused {
            assert!(message.contains("--insecure-listen"), "{message}");
        }
        assert!(load(None, &[], &[&set, "insecure_listen=true"]).is_ok());
        let tls = ["tls.certificate=/c.pem", "tls.key=/k.pem"];
        assert!(
            load(None, &[], &[&set, tls[0], tls[1]]).is_ok(),
            "nobody can listen in"
        );
    }
}

#[test]
fn secrets_are_never_shown() {
    let key = "0123456789abcdef0123456789abcdef";
    let config = load(None, &[("SANNTID_ADMIN_KEY", key)], &[]).unwrap();
    assert_eq!(config.admin_key.as_ref().map(Secret::expose), Some(key));
    let shown = format!("{config:?} {config:#?}");
    assert!(
        !shown.contains(key) && shown.contains("[redacted]"),
        "{shown}"
    );
}

/// The rows of the documentation's tables of keys: key and default.
fn documented() -> Vec<(String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CONFIG.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, tables) = text.split_once("## Top level").unwrap();
    let cell = |text: &str| text.trim().trim_matches('`').to_owned();
    tables
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let mut cells = line.split('|').skip(1).map(cell);
            (cells.next().unwrap(), cells.next().unwrap())
        })
        .collect()
}

#[test]
fn every_documented_default_is_the_default() {
    let expected = format!("{:?}", Config::default());
    for (key, default) in documented() {
        if default != "–" {
            let set = format!("{key}={default}");
            let config = load(None, &[], &[&set]).unwrap();
            assert_eq!(format!("{config:?}"), expected, "{set}");
        }
    }
}

#[test]
fn every_key_is_documented_and_no_other() {
    let mut known: Vec<String> = Vec::new();
    for section in [
        "",
        "http.",
        "tls.",
        "identity.",
        "store.",
        "actors.",
        "limits.",
        "log.",
    ] {
        let message = load(None, &[], &[&format!("{section}unknown=1")]).unwrap_err();
        let (_, listed) = message.split_once("known here: ").unwrap();
        let (listed, _) = listed.split_once(" (set by").unwrap();
        known.extend(listed.split(", ").map(|key| format!("{section}{key}")));
    }
    known.retain(|key| {
        ![
            "http", "tls", "identity", "store", "actors", "secrets", "limits", "log",
        ]
        .contains(&key.as_str())
    });
    known.sort();
    let mut documented: Vec<String> = documented().into_iter().map(|(key, _)| key).collect();
    documented.sort();
    assert_eq!(documented, known);
}

#[test]
fn a_secret_is_read_from_any_layer_and_shown_by_none() {
    let file = "[secrets.warehouse]\naccess_key_id = \"an-id\"\nsecret_access_key = \"hidden1\"\n\
                [secrets.lake]\naccount = \"contoso\"\nsas = \"hidden2\"";
    let env = [
        ("SANNTID_SECRETS_MY_STORE_SECRET_ACCESS_KEY", "hidden3"),
        ("SANNTID_SECRETS_MY_STORE_ACCESS_KEY_ID", "id-of-mine"),
        ("SANNTID_SECRETS_OTHER_ACCESS_KEY", "hidden4"),
        ("SANNTID_SECRETS_OTHER_ACCOUNT", "other"),
    ];
    let config = load(
        Some(file),
        &env,
        &[
            "secrets.plain.endpoint=http://127.0.0.1:9",
            "secrets.plain.allow_http=true",
        ],
    )
    .unwrap();
    let names: Vec<&str> = config.secrets.keys().map(String::as_str).collect();
    assert_eq!(names, ["lake", "my_store", "other", "plain", "warehouse"]);
    let mine = config.secrets.get("my_store").unwrap();
    assert_eq!(mine.access_key_id.as_deref(), Some("id-of-mine"));
    assert_eq!(
        mine.secret_access_key.as_ref().map(Secret::expose),
        Some("hidden3")
    );
    let shown = format!("{config:#?}");
    assert!(
        shown.contains("an-id") && !shown.contains("hidden"),
        "{shown}"
    );

    for (set, part) in [
        ("secrets.a.secret_access_key=hidden", "access_key_id"),
        ("secrets.a.secret=hidden", "secrets.a.secret: unknown key"),
        ("secrets.a b.region=hidden", "expected a name"),
        ("secrets.a.endpoint=hidden", "endpoint"),
        ("secrets.a.allow_http=hidden", "true or false"),
        (
            "actors.data_source_buckets=file:///a",
            "data_source_buckets",
        ),
        ("actors.data_source_buckets=bucket", "data_source_buckets"),
    ] {
        let message = load(None, &[], &[set]).expect_err(set);
        assert!(message.contains(part), "{message:?} lacks {part:?}");
        let is_flag = set.contains("allow_http");
        assert!(is_flag || !message.contains("hidden"), "{message}");
    }
}
