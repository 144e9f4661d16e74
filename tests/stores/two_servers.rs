//! The example `billing` as two servers that share one database.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::sync::Barrier;

use tests::caller::{Answer, get, post};
use tests::process::{Server, build};
use tests::services::Postgres;

const CUSTOMER: &str = "ben@example.com";

fn charge(server: &Server, key: &str, cents: u32) -> Answer {
    let body = format!(r#"{{"customer":"{CUSTOMER}","amount_cents":{cents},"purpose":"a seat"}}"#);
    post(server.port, "/charges", key, &body).unwrap()
}

/// What a customer owes, and the number of ledger entries.
fn account(server: &Server) -> (i64, usize) {
    let account = get(server.port, "/account", "look", &[("customer", CUSTOMER)])
        .unwrap()
        .json();
    let entries = account["entries"].as_array().unwrap();
    (account["balance_cents"].as_i64().unwrap(), entries.len())
}

/// Calls both servers at the same time, `times` times each.
fn at_both<T: Send>(servers: &[Server; 2], times: usize, call: impl Fn(&Server, usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(2 * times);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..2 * times)
            .map(|number| {
                let (start, call) = (&start, &call);
                scope.spawn(move || {
                    start.wait();
                    call(&servers[number % 2], number)
                })
            })
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

#[test]
fn duplicates_at_both_charge_once_and_the_limit_holds_between_them() {
    let postgres = Postgres::start(&[]);
    let program = build("billing", "dev");
    let folder = tempfile::tempdir().unwrap();
    let start = || Server::start_on(&program, folder.path(), &postgres.url());
    let mut servers = [start(), start()];

    let answers = at_both(&servers, 12, |server, _| charge(server, "same", 100));
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 200 && answer.body == answers[0].body),
        "{answers:#?}"
    );
    assert_eq!(answers.iter().filter(|answer| !answer.is_replay()).count(), 1);
    assert_eq!(account(&servers[0]), (100, 1));

    // 99.00 can still be charged, so nine of twelve charges of 10.00 fit.
    let answers = at_both(&servers, 6, |server, number| {
        charge(server, &format!("own-{number}"), 1_000).status
    });
    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!((count(200), count(409)), (9, 3), "{answers:?}");
    assert_eq!(account(&servers[1]), (9_100, 10));

    servers[0].kill();
    assert!(
        charge(&servers[1], "same", 100).is_replay(),
        "the other server replays the answer of the server that is gone"
    );
    assert_eq!(account(&servers[1]), (9_100, 10));
}
