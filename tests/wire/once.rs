//! Calls with one key have one effect and one answer.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::sync::Barrier;

use tests::caller::{get, post};
use tests::process::{Server, build};

#[test]
fn twenty_four_identical_calls_at_once_refund_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("support-desk", "dev"), folder.path());
    let start = Barrier::new(24);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..24)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    post(
                        server.port,
                        "/refunds",
                        "same",
                        r#"{"order_id":1001,"amount_cents":100}"#,
                    )
                    .unwrap()
                })
            })
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 200 && answer.body == answers[0].body),
        "{answers:#?}"
    );
    assert_eq!(answers.iter().filter(|answer| !answer.is_replay()).count(), 1);
    let ledger = get(server.port, "/orders/refunds", "look", &[("order_id", "1001")])
        .unwrap()
        .json();
    assert_eq!(ledger["refunds"].as_array().unwrap().len(), 1);
}

#[test]
fn twenty_four_identical_mails_at_once_are_one_mail() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("support-desk", "dev"), folder.path());
    let start = Barrier::new(24);
    let body = r#"{"email":"ana@example.com","message":"Once."}"#;
    std::thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                start.wait();
                assert_eq!(post(server.port, "/notifications", "same", body).unwrap().status, 200);
            });
        }
    });
    let mails = std::fs::read_to_string(folder.path().join("outbox.jsonl")).unwrap();
    assert_eq!(mails.lines().count(), 1, "{mails}");
}

#[test]
fn a_key_belongs_to_one_request_and_a_refusal_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&build("support-desk", "dev"), folder.path());
    let refund = |key: &str, body: &str| post(server.port, "/refunds", key, body).unwrap();
    assert_eq!(refund("a", r#"{"order_id":1001,"amount_cents":1}"#).status, 200);
    let other = refund("a", r#"{"order_id":1001,"amount_cents":2}"#);
    assert_eq!(
        (other.status, other.json()["type"].as_str().unwrap()),
        (422, "urn:operator:problem:key-reused")
    );
    let missing = refund("b", r#"{"order_id":1,"amount_cents":2}"#);
    let again = refund("b", r#"{"order_id":1,"amount_cents":2}"#);
    assert_eq!((missing.status, again.status, again.is_replay()), (404, 404, true));
    assert_eq!(missing.body, again.body);
    let too_much = refund("c", r#"{"order_id":1001,"amount_cents":5000}"#);
    assert_eq!(too_much.status, 400, "{}", too_much.body);
}

#[test]
fn an_operation_is_remembered_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let program = build("support-desk", "dev");
    let mut server = Server::start(&program, folder.path());
    let body = r#"{"email":"ana@example.com","subject":"s","body":"b"}"#;
    let first = post(server.port, "/tickets", "k", body).unwrap();
    server.kill();
    let server = Server::start(&program, folder.path());
    let again = post(server.port, "/tickets", "k", body).unwrap();
    assert!(again.is_replay());
    assert_eq!(again.body, first.body);
}
