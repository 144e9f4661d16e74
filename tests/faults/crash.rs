//! `kill -9` during operations: an answered effect happened exactly once, or its outcome is reported as unknown.

use serde_json::json;
use tests::caller::get;
use tests::process::{build_into, build_with_fail_points};
use tests::services::{Postgres, Redis};

use crate::calm::{Effect, keys};
use crate::programs::{billing_ledger, lines, sqlite_credits};
use crate::storm::Storm;

const KILLS: usize = 56;
/// Two kills at each fail point, and as many at random moments.
const FEW_KILLS: usize = 16;

#[test]
fn every_answered_refund_exists_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_with_fail_points(folder.path(), "support-desk");
    let storm = Storm {
        body: |key| json!({ "order_id": 1009, "amount_cents": 1, "reason": key }).to_string(),
        ..Storm::of(&program, folder.path(), &[], "/refunds")
    };
    let calm = storm.kill_programs(KILLS);
    let ledger = get(
        calm.servers[0].port,
        "/orders/refunds",
        "count",
        &[("order_id", "1009")],
    )
    .unwrap();
    let refunds = ledger.json();
    let refund = |refund: &serde_json::Value| Effect {
        key: refund["reason"].as_str().unwrap().to_owned(),
        says: Some(("refund_id", refund["refund_id"].as_i64().unwrap())),
    };
    let refunds: Vec<_> = refunds["refunds"].as_array().unwrap().iter().map(refund).collect();
    calm.is_transactional(&storm, "crash storm, transactional", "SQLite", &refunds);
}

#[test]
fn no_mail_is_sent_twice_and_every_answered_mail_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_with_fail_points(folder.path(), "support-desk");
    let storm = Storm {
        body: |key| json!({ "email": format!("{key}@example.com"), "message": "Once." }).to_string(),
        ..Storm::of(&program, folder.path(), &[], "/notifications")
    };
    let calm = storm.kill_programs(KILLS);
    let mails = lines(&folder.path().join("outbox.jsonl"));
    let mails = keys(mails.iter().map(|mail| key_of(mail)).collect());
    calm.is_at_most_once(&storm, "crash storm, at most once", "SQLite", &mails);
}

fn key_of(mail: &str) -> String {
    let mail: serde_json::Value = serde_json::from_str(mail).unwrap();
    mail["idempotency_key"].as_str().unwrap().to_owned()
}

#[test]
fn no_credit_is_lost_in_a_process_crash_with_sqlite_durability_process() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_with_fail_points(folder.path(), "faults-program");
    let storm = Storm::of(
        &program,
        folder.path(),
        &[("OPERATOR_STORE", "sqlite:operator.db?durability=process")],
        "/credit",
    );
    let calm = storm.kill_programs(FEW_KILLS);
    let credits = keys(sqlite_credits(&folder.path().join("operator.db")));
    calm.is_transactional(
        &storm,
        "crash storm, transactional",
        "SQLite, durability=process",
        &credits,
    );
}

#[test]
fn no_charge_of_two_billing_servers_on_one_postgres_is_lost_or_doubled() {
    let (folder, postgres) = (tempfile::tempdir().unwrap(), Postgres::start(&[]));
    let program = build_with_fail_points(folder.path(), "billing");
    let url = postgres.url();
    let environment = [("OPERATOR_STORE", url.as_str())];
    let storm = Storm {
        servers: 2,
        body: |key| json!({ "customer": "acme@example.com", "amount_cents": 1, "purpose": key }).to_string(),
        ..Storm::of(&program, folder.path(), &environment, "/charges")
    };
    let calm = storm.kill_programs(KILLS);
    let (ledger, owed) = billing_ledger(&postgres, "acme@example.com");
    assert_eq!(
        (ledger.len(), owed),
        (calm.told.len(), i64::try_from(calm.told.len()).unwrap()),
        "entries and cents owed"
    );
    calm.is_transactional(&storm, "crash storm, two servers of billing", "Postgres", &ledger);
}

#[test]
fn no_charge_recorded_in_redis_is_lost_or_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let redis = Redis::start(&[("appendonly", "yes")]);
    let program = build_with_fail_points(folder.path(), "faults-program");
    let url = redis.url();
    let environment = [("OPERATOR_STORE", url.as_str())];
    let storm = Storm::of(&program, folder.path(), &environment, "/charge");
    let calm = storm.kill_programs(KILLS);
    let charges = keys(lines(&folder.path().join("ledger")));
    calm.is_at_most_once(&storm, "crash storm, at most once", "Redis", &charges);
}

#[test]
fn a_program_built_without_fail_points_holds_no_trace_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let names_them = |program| {
        let name = b"OPERATOR_FAIL_POINT";
        let program = std::fs::read(program).unwrap();
        program.windows(name.len()).any(|bytes| bytes == name)
    };
    assert!(names_them(build_with_fail_points(folder.path(), "quickstart")));
    assert!(!names_them(build_into(folder.path(), "quickstart")));
}
