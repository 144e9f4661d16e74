//! Storms on one limited value: the sum of what took effect is never above the limit, and after the storm nothing stays
//! reserved that did not take effect.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use operator_runtime::rusqlite;
use serde_json::{Value, json};
use tests::caller::post;
use tests::process::build_with_fail_points;
use tests::services::{Postgres, Redis};

use crate::calm::{Calm, Effect, Told};
use crate::programs::{lines, postgres_rows};
use crate::storm::Storm;

const KILLS: usize = 56;
const CALLERS: usize = 64;
const POINTS: &[&str] = &[
    "after-claim",
    "after-reserve",
    "before-commit",
    "after-commit",
    "before-answer",
];
/// The limit of the program.
const MAX: u64 = 2_000;

/// The amount of an operation: 1 to 5, of which the handler refuses 3.
fn cents(key: &str) -> u64 {
    key.bytes().map(u64::from).sum::<u64>() % 5 + 1
}

fn body(key: &str) -> String {
    json!({ "account": "everybody", "cents": cents(key) }).to_string()
}

fn storm<'s>(program: &'s Path, folder: &'s Path, environment: &'s [(&'s str, &'s str)], path: &'s str) -> Storm<'s> {
    Storm {
        servers: 2,
        callers: CALLERS,
        points: POINTS,
        body,
        ..Storm::of(program, folder, environment, path)
    }
}

/// The key and the amount of each effect.
fn effects(found: &[(String, u64)]) -> Vec<Effect> {
    let effect = |(key, _): &(String, u64)| Effect {
        key: key.clone(),
        says: None,
    };
    found.iter().map(effect).collect()
}

fn spent(ledger: &Path) -> Vec<(String, u64)> {
    let read = |line: &String| {
        let (key, cents) = line.split_once(' ').unwrap();
        (key.to_owned(), cents.parse().unwrap())
    };
    lines(ledger).iter().map(read).collect()
}

/// Checks the sums, and that the rest of the limit, and no more, is let through.
fn is_within(calm: &Calm, storm: &Storm<'_>, proof: &str, store: &str, found: &[(String, u64)]) {
    let sum = found.iter().map(|(_, cents)| cents).sum::<u64>();
    assert!(sum <= MAX, "{store}: {sum} of {MAX} took effect");
    let of = |is_meant: fn(&Told) -> bool| {
        let meant = calm.told.iter().filter(|(_, told)| is_meant(told));
        meant.map(|(key, _)| cents(key)).sum::<u64>()
    };
    let done = of(|told| matches!(told, Told::Done(_)));
    let unknown = of(|told| matches!(told, Told::Unknown));
    let over = calm.told.values().filter(|told| is_over(told)).count();
    assert!(over > 0, "{store}: the limit was never reached");
    calm.is_limited(storm, proof, store, &effects(found));
    // What is unknown counts until a person says that it was not done, unless it was lost before it reserved anything.
    if unknown > 0 {
        settle_all_as_not_done(storm);
    }
    use_up(calm, storm, store, MAX - done);
}

fn is_over(told: &Told) -> bool {
    matches!(told, Told::Refused(problem) if problem["type"] == "urn:operator:problem:over-limit")
}

/// Everything that is left is let through, in parts that the handler does not refuse, and then nothing.
fn use_up(calm: &Calm, storm: &Storm<'_>, store: &str, left: u64) {
    let port = calm.servers[0].port;
    let call = |name: &str, cents: u64| {
        let body = json!({ "account": "everybody", "cents": cents }).to_string();
        let key = format!("{name}-{left}-{cents}");
        post(port, storm.path, &key, &body).unwrap()
    };
    let parts = if left == 3 { vec![2, 1] } else { vec![left] };
    for cents in parts.into_iter().filter(|cents| *cents > 0) {
        let rest = call("rest", cents);
        assert_eq!(rest.status, 200, "{store}: {left} must be left: {}", rest.body);
    }
    let more = call("more", 1);
    assert_eq!(more.status, 403, "{store}: nothing must be left: {}", more.body);
}

fn settle_all_as_not_done(storm: &Storm<'_>) {
    let operations = |arguments: &[&str]| {
        let output = Command::new(storm.program)
            .arg("operations")
            .args(arguments)
            .current_dir(storm.folder)
            .env("OPERATOR_STORE", "sqlite:operator.db")
            .envs(storm.environment.iter().copied())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    };
    for line in operations(&["list", "--unknown", "--json", "--limit", "1000000"]).lines() {
        let listed: Value = serde_json::from_str(line).unwrap();
        operations(&[
            "settle",
            listed["operation"].as_str().unwrap(),
            "--not-done",
            "--by",
            "the test",
        ]);
    }
}

fn granted_in_sqlite(file: &Path) -> Vec<(String, u64)> {
    let connection = rusqlite::Connection::open(file).unwrap();
    let mut statement = connection.prepare("SELECT key, cents FROM grants").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_limit_holds_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_with_fail_points(folder.path(), "faults-program");
    let environment = [("OPERATOR_STORE", "sqlite:operator.db")];
    let granting = storm(&program, folder.path(), &environment, "/grant");
    let calm = granting.kill_programs(KILLS);
    let found = granted_in_sqlite(&folder.path().join("operator.db"));
    is_within(&calm, &granting, "storm on one limit, transactional", "SQLite", &found);
}

#[test]
fn a_limit_of_effects_elsewhere_holds_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_with_fail_points(folder.path(), "faults-program");
    let environment = [("OPERATOR_STORE", "sqlite:operator.db")];
    let spending = storm(&program, folder.path(), &environment, "/spend");
    let calm = spending.kill_programs(KILLS);
    let found = spent(&folder.path().join("ledger"));
    is_within(&calm, &spending, "storm on one limit, at most once", "SQLite", &found);
}

#[test]
fn a_limit_of_effects_that_may_be_repeated_holds_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_with_fail_points(folder.path(), "faults-program");
    let environment = [("OPERATOR_STORE", "sqlite:operator.db")];
    let lending = storm(&program, folder.path(), &environment, "/lend");
    let calm = lending.kill_programs(KILLS);
    // An attempt that was killed may have acted. Its retry acts again, which is the same effect.
    let found: BTreeMap<String, u64> = spent(&folder.path().join("ledger")).into_iter().collect();
    let found: Vec<_> = found.into_iter().collect();
    is_within(&calm, &lending, "storm on one limit, rerunnable", "SQLite", &found);
}

#[test]
fn a_limit_holds_in_postgres() {
    let (folder, postgres) = (tempfile::tempdir().unwrap(), Postgres::start(&[]));
    let program = build_with_fail_points(folder.path(), "faults-program");
    let url = postgres.url();
    let environment = [("OPERATOR_STORE", url.as_str())];
    let granting = storm(&program, folder.path(), &environment, "/grant");
    let calm = granting.kill_programs(KILLS);
    let rows = postgres_rows(&postgres, "SELECT key, cents FROM grants");
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row.get(0), row.get::<_, i64>(1).cast_unsigned()))
        .collect();
    is_within(
        &calm,
        &granting,
        "storm on one limit, transactional",
        "Postgres",
        &found,
    );
}

#[test]
fn a_limit_of_effects_elsewhere_holds_in_postgres() {
    let (folder, postgres) = (tempfile::tempdir().unwrap(), Postgres::start(&[]));
    let program = build_with_fail_points(folder.path(), "faults-program");
    let url = postgres.url();
    let environment = [("OPERATOR_STORE", url.as_str())];
    let spending = storm(&program, folder.path(), &environment, "/spend");
    let calm = spending.kill_programs(KILLS);
    let found = spent(&folder.path().join("ledger"));
    is_within(&calm, &spending, "storm on one limit, at most once", "Postgres", &found);
}

#[test]
fn a_limit_holds_in_redis() {
    let folder = tempfile::tempdir().unwrap();
    let redis = Redis::start(&[("appendonly", "yes")]);
    let program = build_with_fail_points(folder.path(), "faults-program");
    let url = redis.url();
    let environment = [("OPERATOR_STORE", url.as_str())];
    let spending = storm(&program, folder.path(), &environment, "/spend");
    let calm = spending.kill_programs(KILLS);
    let found = spent(&folder.path().join("ledger"));
    is_within(&calm, &spending, "storm on one limit, at most once", "Redis", &found);
}
