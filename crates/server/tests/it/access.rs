//! Keys and roles from the command line.

use serde_json::{Value, json};

use crate::child::{Server, output, sanntid, text};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn keys_and_roles_are_managed_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let id = server.call(&["instance", "create", "Contoso"]);
    let id = id.trim();
    let of = |words: &[&str]| {
        let mut all = words.to_vec();
        all.splice(2..2, ["--instance", id]);
        server.call(&all)
    };
    assert_eq!(
        of(&["key", "list"]),
        "enabled  true\nrole     contributor\nnone\n"
    );
    let made = parsed(&of(&["key", "renew", "primary", "--json"]));
    let key = made["key"].as_str().unwrap();
    let shown = of(&["key", "renew", "secondary"]);
    let second = shown.trim();
    assert_eq!(shown, format!("{second}\n"), "the key and nothing else");
    assert_eq!(second.len(), key.len(), "{second}");
    let listed = of(&["key", "list"]);
    assert!(listed.contains(made["hint"].as_str().unwrap()), "{listed}");
    assert!(
        !listed.contains(key) && !listed.contains(second),
        "{listed}"
    );

    let with_key = |words: &[&str]| {
        let command = &mut sanntid();
        command
            .env("SANNTID_URL", &server.url)
            .env("SANNTID_KEY", second);
        output(command.args(words).args(["--instance", id]))
    };
    let mine = with_key(&["role", "mine", "--json"]);
    assert_eq!(parsed(&text(&mine.stdout))["roles"], json!(["contributor"]));
    let refused = with_key(&["role", "set", "kari", "administrator"]);
    assert!(!refused.status.success());
    let errors = text(&refused.stderr);
    assert!(
        errors.contains("this needs the role administrator"),
        "{errors}"
    );

    of(&["role", "set", "kari", "viewer"]);
    let all = parsed(&of(&[
        "role",
        "set",
        "a/b",
        "administrator",
        "--type",
        "group",
        "--json",
    ]));
    assert_eq!(all[0]["principalId"], "a/b");
    assert_eq!(of(&["role", "remove", "a/b"]), "done\n");
    let listed = of(&["role", "list"]);
    assert!(
        listed.contains("kari") && !listed.contains("a/b"),
        "{listed}"
    );

    let set = parsed(&of(&[
        "key",
        "set",
        "--role",
        "viewer",
        "--disable",
        "--json",
    ]));
    assert_eq!(
        (&set["enabled"], &set["role"]),
        (&json!(false), &json!("viewer"))
    );
    let refused = with_key(&["role", "mine"]);
    assert!(text(&refused.stderr).contains("no such key or token"));
    of(&["key", "set", "--enable"]);
    let mine = with_key(&["role", "mine"]);
    assert!(
        text(&mine.stdout).contains("viewer"),
        "{}",
        text(&mine.stdout)
    );
}
