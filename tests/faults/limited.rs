//! Storms on one limited value: the sum of what took effect is never above the limit, and after the storm nothing stays
//! reserved that did not take effect.

use std::path::Path;
use std::process::Command;

use operator_runtime::rusqlite;
use operator_runtime::tokio_postgres::Row;
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
const SQLITE: &str = "sqlite:operator.db";
/// The limit of the program.
const MAX: u64 = 2_000;

/// The amount of an operation: 1 to 5, of which the handler refuses 3.
fn cents(key: &str) -> u64 {
    key.bytes().map(u64::from).sum::<u64>() % 5 + 1
}

fn body(key: &str) -> String {
    json!({ "account": "everybody", "cents": cents(key) }).to_string()
}

/// Storms the endpoint at `path`, and checks the effects that `found` reads from the folder of the servers.
fn holds(proof: &str, store: &str, address: &str, path: &str, found: impl FnOnce(&Path) -> Vec<(String, u64)>) {
    let folder = tempfile::tempdir().unwrap();
    let program = build_with_fail_points(folder.path(), "faults-program");
    let environment = [("OPERATOR_STORE", address)];
    let storm = Storm {
        servers: 2,
        callers: CALLERS,
        points: POINTS,
        body,
        ..Storm::of(&program, folder.path(), &environment, path)
    };
    let calm = storm.kill_programs(KILLS);
    is_within(&calm, &storm, proof, store, &found(folder.path()));
}

/// The key and the amount of each effect.
fn effects(found: &[(String, u64)]) -> Vec<Effect> {
    let effect = |(key, _): &(String, u64)| Effect {
        key: key.clone(),
        says: None,
    };
    found.iter().map(effect).collect()
}

fn in_the_ledger(folder: &Path) -> Vec<(String, u64)> {
    let read = |line: &String| {
        let (key, cents) = line.split_once(' ').unwrap();
        (key.to_owned(), cents.parse().unwrap())
    };
    lines(&folder.join("ledger")).iter().map(read).collect()
}

/// An attempt that was killed may have acted. Its retry acts again, which is the same effect.
fn once_in_the_ledger(folder: &Path) -> Vec<(String, u64)> {
    let mut once = in_the_ledger(folder);
    once.sort_unstable();
    once.dedup();
    once
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
            .env("OPERATOR_STORE", SQLITE)
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

fn granted_in_sqlite(folder: &Path) -> Vec<(String, u64)> {
    let connection = rusqlite::Connection::open(folder.join("operator.db")).unwrap();
    let mut statement = connection.prepare("SELECT key, cents FROM grants").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

fn granted_in_postgres(postgres: &Postgres) -> Vec<(String, u64)> {
    let rows = postgres_rows(postgres, "SELECT key, cents FROM grants");
    let read = |row: &Row| (row.get(0), row.get::<_, i64>(1).cast_unsigned());
    rows.iter().map(read).collect()
}

const TRANSACTIONAL: &str = "storm on one limit, transactional";
const AT_MOST_ONCE: &str = "storm on one limit, at most once";
const RERUNNABLE: &str = "storm on one limit, rerunnable";

#[test]
fn a_limit_holds_in_sqlite() {
    holds(TRANSACTIONAL, "SQLite", SQLITE, "/grant", granted_in_sqlite);
}

#[test]
fn a_limit_of_effects_elsewhere_holds_in_sqlite() {
    holds(AT_MOST_ONCE, "SQLite", SQLITE, "/spend", in_the_ledger);
}

#[test]
fn a_limit_of_effects_that_may_be_repeated_holds_in_sqlite() {
    holds(RERUNNABLE, "SQLite", SQLITE, "/lend", once_in_the_ledger);
}

#[test]
fn a_limit_holds_in_postgres() {
    let postgres = Postgres::start(&[]);
    let found = |_: &Path| granted_in_postgres(&postgres);
    holds(TRANSACTIONAL, "Postgres", &postgres.url(), "/grant", found);
}

#[test]
fn a_limit_of_effects_elsewhere_holds_in_postgres() {
    let postgres = Postgres::start(&[]);
    holds(AT_MOST_ONCE, "Postgres", &postgres.url(), "/spend", in_the_ledger);
}

#[test]
fn a_limit_holds_in_redis() {
    let redis = Redis::start(&[("appendonly", "yes")]);
    holds(AT_MOST_ONCE, "Redis", &redis.url(), "/spend", in_the_ledger);
}

#[test]
fn a_limit_of_effects_that_may_be_repeated_holds_in_postgres() {
    let postgres = Postgres::start(&[]);
    holds(RERUNNABLE, "Postgres", &postgres.url(), "/lend", once_in_the_ledger);
}

#[test]
fn a_limit_of_effects_that_may_be_repeated_holds_in_redis() {
    let redis = Redis::start(&[("appendonly", "yes")]);
    holds(RERUNNABLE, "Redis", &redis.url(), "/lend", once_in_the_ledger);
}
