//! The demo from start to end.

use crate::child::{output, sanntid, text};

#[test]
fn the_demo_tells_its_story_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = sanntid();
    command
        .args(["demo", "--seconds", "3"])
        .env("TMPDIR", folder.path());
    let ended = output(&mut command);
    let (out, errors) = (text(&ended.stdout), text(&ended.stderr));
    assert!(ended.status.success(), "{out}\n{errors}");
    for part in [
        "  address   http://127.0.0.1:",
        "  key       ",
        "City Oslo [source]",
        "City Bergen [realtime], the source still says Oslo",
        "LoyaltyTier silver [source], by itself",
        "1 overlay fields cleared, 1 kept; 1 activities now the source's",
        "City Bergen [source], Occupation Pilot [realtime]",
        "  curl -s 'http://127.0.0.1:",
        "overlay fields",
    ] {
        assert!(out.contains(part), "{part} is not in\n{out}");
    }
    assert!(
        !out.contains('\u{1b}'),
        "no colours and no cursor where there is no terminal"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
