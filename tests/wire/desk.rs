//! The support desk finds orders by time, which may be written in every form that RFC 3339 §5.6 allows. If its outbox
//! does not confirm an e-mail, a person decides whether the e-mail was sent.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::caller::{Answer, post};
use tests::process::{Server, build};

fn find(server: &Server, condition: &str, time: &str) -> Answer {
    let body = json!({ "filter": { condition: time }, "limit": 20 }).to_string();
    post(server.port, "/orders/find", "find", &body).unwrap()
}

#[test]
fn every_valid_time_finds_the_orders_of_its_instant() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("support-desk", "dev"), folder.path());
    for (condition, time, due) in [
        ("placed_after", "2026-11-22T09:10:00Z", &[1008, 1005][..]),
        ("placed_after", "2026-11-22t09:10:00z", &[1008, 1005]),
        ("placed_after", "2026-11-22T10:10:00+01:00", &[1008, 1005]),
        ("placed_after", "2026-11-23T09:09:00+23:59", &[1008, 1005]),
        ("placed_after", "2026-11-22T09:10:00.000000001Z", &[1008]),
        ("placed_before", "2026-10-02T08:15:00Z", &[1006]),
        ("placed_before", "2026-10-02T08:15:00.5Z", &[1001, 1006]),
        ("placed_before", "2016-12-31T23:59:60Z", &[]),
        (
            "placed_after",
            "2016-12-31T23:59:60Z",
            &[1008, 1005, 1009, 1004, 1007, 1003, 1002, 1001, 1006],
        ),
        ("placed_before", "0000-01-01T00:00:00+23:59", &[]),
    ] {
        let answer = find(&server, condition, time);
        assert_eq!(answer.status, 200, "{time}: {}", answer.body);
        let orders = answer.json()["orders"].as_array().unwrap().clone();
        let found: Vec<&Value> = orders.iter().map(|order| &order["order_id"]).collect();
        assert_eq!(found, due, "{condition} {time}");
    }
}

#[test]
fn a_text_that_is_not_a_time_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("support-desk", "dev"), folder.path());
    // The last text is a valid time, but it is later than any time that the types can represent.
    for time in [
        "yesterday",
        "2026-11-01",
        "2026-11-01T00:00:00",
        "2026-11-01T25:00:00Z",
        "9999-12-31T23:59:59-12:00",
    ] {
        let answer = find(&server, "placed_after", time);
        assert_eq!(answer.status, 400, "{time}: {}", answer.body);
        let wrong = &answer.json()["errors"][0];
        assert_eq!(wrong["input"], "filter.placed_after", "{time}: {wrong}");
        let detail = wrong["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("`filter.placed_after`") && detail.ends_with('.'),
            "{time}: {detail}"
        );
    }
}

/// A support desk whose outbox is a file that the test has made.
struct Desk {
    program: PathBuf,
    folder: tempfile::TempDir,
    server: Server,
}

impl Desk {
    fn start(make_outbox: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = build("support-desk", "dev");
        let outbox = folder.path().join("outbox");
        make_outbox(&outbox);
        let environment = [("SUPPORT_DESK_OUTBOX", outbox.to_str().unwrap())];
        let server = Server::start_with(&program, folder.path(), &environment);
        Self {
            program,
            folder,
            server,
        }
    }

    fn outbox(&self) -> PathBuf {
        self.folder.path().join("outbox")
    }

    fn notify(&self) -> Answer {
        let body = json!({ "email": "ana@example.com", "message": "It arrives on Thursday." });
        post(self.server.port, "/notifications", "notice-1", &body.to_string()).unwrap()
    }

    fn operations(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.program)
            .arg("operations")
            .args(arguments)
            .current_dir(self.folder.path())
            .env("OPERATOR_STORE", "sqlite:operator.db")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The only operation that waits for a person, which is the one that the answer names.
    fn unknown(&self, answer: &Answer) -> String {
        let problem = answer.json();
        assert_eq!(
            (answer.status, &problem["type"]),
            (500, &json!("urn:operator:problem:outcome-unknown"))
        );
        let listed: Value = serde_json::from_str(&self.operations(&["list", "--unknown", "--json"])).unwrap();
        assert_eq!(listed["operation"], problem["operation"]);
        problem["operation"].as_str().unwrap().to_owned()
    }
}

#[test]
fn an_e_mail_that_was_sent_without_a_confirmation_is_settled_and_not_sent_again() {
    // A named pipe takes the e-mail, but cannot confirm that it is on a disk.
    let desk = Desk::start(|outbox| assert!(Command::new("mkfifo").arg(outbox).status().unwrap().success()));
    let outbox = desk.outbox();
    let provider = std::thread::spawn(move || {
        let lines = BufReader::new(fs::File::open(outbox).unwrap()).lines();
        lines.map(Result::unwrap).collect::<Vec<_>>()
    });
    let operation = desk.unknown(&desk.notify());
    let sent = provider.join().unwrap();
    assert!(sent.len() == 1 && sent[0].contains("notice-1"), "{sent:?}");

    let answer = r#"{"message":"The message is on its way to ana@example.com."}"#;
    fs::write(desk.folder.path().join("answer.json"), answer).unwrap();
    desk.operations(&["settle", &operation, "--done", "answer.json", "--by", "ana"]);
    let retry = desk.notify();
    assert_eq!(
        (retry.status, retry.is_replay(), retry.body.as_str()),
        (200, true, answer)
    );
}

#[test]
fn an_e_mail_that_a_person_did_not_find_is_sent_by_the_retry() {
    let desk = Desk::start(|outbox| symlink("/dev/full", outbox).unwrap());
    let operation = desk.unknown(&desk.notify());
    fs::remove_file(desk.outbox()).unwrap();
    assert_eq!(desk.unknown(&desk.notify()), operation);
    assert!(!desk.outbox().exists(), "the retry has sent the e-mail");

    desk.operations(&["settle", &operation, "--not-done", "--by", "ana"]);
    let retry = desk.notify();
    assert_eq!((retry.status, retry.is_replay()), (200, false), "{}", retry.body);
    assert_eq!(desk.notify().body, retry.body);
    assert_eq!(fs::read_to_string(desk.outbox()).unwrap().lines().count(), 1);
}

#[test]
fn operations_are_listed_by_outcome_and_with_the_same_times() {
    // The outbox is a folder, so no e-mail can be handed over.
    let desk = Desk::start(|outbox| fs::create_dir(outbox).unwrap());
    let refund = |key: &str, inputs: Value| post(desk.server.port, "/refunds", key, &inputs.to_string()).unwrap();
    for (answer, status) in [
        (refund("done", json!({ "order_id": 1004, "amount_cents": 2500 })), 200),
        (
            refund("declined", json!({ "order_id": 9999, "amount_cents": 2500 })),
            404,
        ),
        (
            refund("invalid", json!({ "order_id": "none", "amount_cents": 2500 })),
            400,
        ),
        (desk.notify(), 500),
    ] {
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    let listed = |outcomes: &[&str]| -> Vec<(String, String)> {
        let lines = desk.operations(&[&["list", "--json"], outcomes].concat());
        let told = |line: &str| {
            let told: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| told[name].as_str().unwrap().to_owned();
            (text("idempotency_key"), text("outcome"))
        };
        lines.lines().map(told).collect()
    };
    let pair = |key: &str, outcome: &str| (key.to_owned(), outcome.to_owned());
    let newest_first = [
        pair("notice-1", "failed"),
        pair("invalid", "invalid"),
        pair("declined", "declined"),
        pair("done", "done"),
    ];
    assert_eq!(listed(&[]), newest_first);
    assert_eq!(listed(&["--outcome", "failed"]), newest_first[..1]);
    assert_eq!(listed(&["--outcome", "invalid,declined"]), newest_first[1..3]);
    assert_eq!(listed(&["--unknown"]), []);
    assert!(
        desk.operations(&["list", "--outcome", "lost"])
            .contains("has the outcome lost")
    );

    // For longer than a second, because a time that is computed anew at each listing changes at one moment in a second.
    let (table, began) = (desk.operations(&["list"]), Instant::now());
    while began.elapsed() < Duration::from_millis(1100) {
        assert_eq!(desk.operations(&["list"]), table);
    }
}
