//! Tests of the command line's grammar.

use clap::CommandFactory;

use super::*;

#[test]
fn the_grammar_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn good_lines_are_understood_and_bad_ones_refused() {
    let table = [
        ("serve", true),
        (
            "serve --data-dir d --listen 127.0.0.1:0 --insecure-listen --set a=b --set c=d",
            true,
        ),
        ("serve --listen nowhere", false),
        ("demo --seconds 5 --port 0", true),
        ("demo --port 70000", false),
        ("instance create Contoso --type pitchDemo", true),
        ("instance create Contoso --type huge", false),
        ("instance create", false),
        ("instance delete x --yes", true),
        ("--json instance list --url http://x --key k", true),
        ("activities get --instance i", true),
        ("activities set --instance i f.json", true),
        ("activities set f.json", false),
        ("settings set --instance i", false),
        ("settings set --instance i refreshClears=never", true),
        ("snapshot push --instance i --manifest m --as-of now", true),
        ("snapshot push --instance i", false),
        (
            "patch --instance i c1 City=Oslo --for 2h --caller crm",
            true,
        ),
        ("patch --instance i c1 City=Oslo --for soon", false),
        (
            "patch --instance i c1 --for 2h --valid-until 2026-01-01T00:00:00Z",
            false,
        ),
        (
            "activity --instance i UnifiedActivity --body @x --hold",
            true,
        ),
        (
            "get --instance i Customer --filter x --select a --orderby b --top 3 --count --explain",
            true,
        ),
        ("get --instance i Customer --view source", true),
        ("get --instance i c1 --card --timeline", false),
        ("get --instance i c1 --card --filter x", false),
        ("get --instance i Customer --top many", false),
        ("jobs --instance i", true),
        ("jobs --instance i j1 --top 5", true),
        ("customer export --instance i c1", true),
        ("customer export --instance i c1 --out f --json", true),
        ("customer export --instance i", false),
        ("customer erase --instance i c1", true),
        ("customer erase --instance i c1 --yes", true),
        ("customer erase c1 --yes", false),
        ("key list --instance i", true),
        ("key renew --instance i primary", true),
        ("key renew --instance i third", false),
        ("key renew --instance i", false),
        ("key set --instance i", false),
        ("key set --instance i --role viewer --disable", true),
        ("key set --instance i --enable --disable", false),
        ("key set --role viewer", false),
        ("key set --instance i --role owner", false),
        ("--key k key list --instance i --json", true),
        ("limits show --instance i", true),
        (
            "limits set --instance i activities=5 storedBytes=default",
            true,
        ),
        ("limits set --instance i", false),
        ("limits show", false),
        ("role list --instance i", true),
        ("role set --instance i kari contributor", true),
        ("role set --instance i kari contributor --type group", true),
        ("role set --instance i kari", false),
        ("role set --instance i kari owner", false),
        ("role set --instance i kari viewer --type human", false),
        ("role remove --instance i kari", true),
        ("role mine --instance i", true),
        ("clock show", true),
        ("clock confirm", true),
        ("clock", false),
        ("", false),
    ];
    for (line, good) in table {
        let words = std::iter::once("sanntid").chain(line.split_whitespace());
        let parsed = Cli::try_parse_from(words);
        assert_eq!(parsed.is_ok(), good, "{line}");
    }
}
