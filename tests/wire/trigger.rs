//! `trigger`, which sends a sample of an event.

use std::process::Command;

use tests::caller::{PUBLIC_URL, SECRET};
use tests::process::{self, Server, build};

use super::notes;

#[test]
fn trigger_sends_a_sample_that_the_fields_change() {
    let folder = tempfile::tempdir().unwrap();
    let desk = build("support-desk", "dev");
    let server = Server::start(&desk, folder.path());
    let trigger = |arguments: &[&str]| {
        let output = Command::new(&desk)
            .args(["trigger", "--url", PUBLIC_URL, "--key", SECRET, "--at"])
            .arg(format!("http://127.0.0.1:{}", server.port))
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said)
    };
    // One of several runs, because other programs may have the processor meanwhile.
    let mut waits = (0..20).map(|_| {
        let (code, said) = trigger(&["conversation.setup"]);
        assert!(code == Some(0) && said.contains(r#""name": "Ana""#), "{said}");
        let status = said.lines().find_map(|line| line.strip_prefix("200 OK after "));
        let milliseconds = status.and_then(|rest| rest.strip_suffix(" ms")?.parse::<f64>().ok());
        milliseconds.unwrap_or_else(|| panic!("how long a person waits is not said: {said}"))
    });
    assert!(
        waits.any(|wait| wait < 50.0),
        "the customer waits 50 ms or longer for each greeting"
    );
    let (code, said) = trigger(&["conversation.setup", "payload.channel.caller_no=+493012345679"]);
    assert!(code == Some(0) && said.contains(r#""name": "Ben""#), "{said}");
    let (code, said) = trigger(&["conversation.ended", "id=ev_1", "--repeat", "2"]);
    assert!(code == Some(0) && said.contains("idempotent-replayed: true"), "{said}");
    assert_eq!(notes(folder.path()), 1);
    let (code, said) = trigger(&["conversation.set_up"]);
    assert!(
        code == Some(1) && said.contains("did you mean `conversation.setup`?"),
        "{said}"
    );
    let (code, said) = trigger(&["conversation.ended", "status"]);
    assert!(
        code == Some(1) && said.contains("`status` is not a field: write `payload.name=value`."),
        "{said}"
    );
    let table = process::run(&desk, &["endpoints"]);
    let row = table.lines().find(|line| line.contains("conversation.ended")).unwrap();
    assert!(
        row.contains("POST") && row.contains("/events") && row.contains("transactional"),
        "{table}"
    );
    let listed = Command::new(&desk)
        .args(["operations", "list"])
        .env("OPERATOR_STORE", "sqlite:operator.db")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("conversation.ended") && listed.contains("ev_1"),
        "{listed}"
    );
}
