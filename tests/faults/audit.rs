//! The audit after a storm of kills: each operation that took effect has exactly one row `done`, and no row says `done`
//! without its effect. The command `audit` and what a person settled, while a server runs.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::caller::post;
use tests::process::{Server, build_into, build_with_fail_points};
use tests::proof::Row;
use tests::services::Postgres;

use crate::calm::{Calm, Told};
use crate::programs::{Gate, lines, postgres_credits, sqlite_credits};
use crate::storm::Storm;

const KILLS: usize = 56;
const AUDIT: (&str, &str) = ("OPERATOR_AUDIT", "90d");

fn audit(program: &Path, folder: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(program)
        .arg("audit")
        .args(arguments)
        .current_dir(folder)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn printed(output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The outcomes of each operation, by its key.
fn outcomes(storm: &Storm<'_>) -> HashMap<String, Vec<String>> {
    let text = printed(audit(
        storm.program,
        storm.folder,
        storm.environment,
        &["--format", "jsonl"],
    ));
    let mut outcomes: HashMap<String, Vec<String>> = HashMap::new();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        outcomes
            .entry(text("idempotency_key"))
            .or_default()
            .push(text("outcome"));
    }
    outcomes
}

fn count(outcomes: &HashMap<String, Vec<String>>, key: &str, outcome: &str) -> usize {
    let rows = outcomes.get(key).into_iter().flatten();
    rows.filter(|row| *row == outcome).count()
}

/// Adds the row of a storm whose effects are these keys.
fn compare(storm: &Storm<'_>, calm: &Calm, proof: &str, store: &str, effects: &[String]) {
    let outcomes = outcomes(storm);
    let done = |key: &str| count(&outcomes, key, "done");
    // An effect elsewhere whose attempt was killed is unknown, and has a row that says so.
    let is_unknown = |key: &String| calm.told.get(key) == Some(&Told::Unknown);
    let is_wrong = |key: &String| match is_unknown(key) {
        true => done(key) != 0 || count(&outcomes, key, "outcome_unknown") != 1,
        false => done(key) != 1,
    };
    let rows: usize = outcomes.values().map(Vec::len).sum();
    let unknown = calm.told.keys().filter(|key| is_unknown(key));
    let row = Row {
        proof,
        store,
        tried: &format!("{}, {} effects, {rows} rows", calm.harm, effects.len()),
        lost: effects.iter().chain(unknown).filter(|key| is_wrong(key)).count(),
        doubled: outcomes
            .keys()
            .filter(|key| done(key) > 0 && (done(key) > 1 || !effects.contains(key)))
            .count(),
    };
    row.record();
}

/// Kills two servers under load, and then compares the audit with the keys of the effects.
fn each_effect_has_one_row(
    (store, address): (&str, &str),
    folder: &Path,
    path: &str,
    effects: impl FnOnce() -> Vec<String>,
) {
    let program = build_with_fail_points(folder, "faults-program");
    let environment = [("OPERATOR_STORE", address), AUDIT];
    let storm = Storm {
        servers: 2,
        ..Storm::of(&program, folder, &environment, path)
    };
    let proof = match path {
        "/credit" => "audit of a storm, transactional",
        _ => "audit of a storm, at most once",
    };
    let calm = storm.kill_programs(KILLS);
    compare(&storm, &calm, proof, store, &effects());
}

const SQLITE: (&str, &str) = ("SQLite", "sqlite:operator.db");

#[test]
fn each_credit_in_sqlite_has_one_row() {
    let folder = tempfile::tempdir().unwrap();
    let credits = || sqlite_credits(&folder.path().join("operator.db"));
    each_effect_has_one_row(SQLITE, folder.path(), "/credit", credits);
}

#[test]
fn each_charge_recorded_in_sqlite_has_one_row() {
    let folder = tempfile::tempdir().unwrap();
    let charges = || lines(&folder.path().join("ledger"));
    each_effect_has_one_row(SQLITE, folder.path(), "/charge", charges);
}

#[test]
fn each_credit_in_postgres_has_one_row() {
    let (folder, postgres) = (tempfile::tempdir().unwrap(), Postgres::start(&[]));
    let credits = || postgres_credits(&postgres);
    each_effect_has_one_row(("Postgres", &postgres.url()), folder.path(), "/credit", credits);
}

#[test]
fn each_charge_recorded_in_postgres_has_one_row() {
    let (folder, postgres) = (tempfile::tempdir().unwrap(), Postgres::start(&[]));
    let charges = || lines(&folder.path().join("ledger"));
    each_effect_has_one_row(("Postgres", &postgres.url()), folder.path(), "/charge", charges);
}

/// A crash, a settlement, and what the command prints of them, in each format and by each filter.
fn a_settlement_is_listed(folder: &Path, store: &str) {
    let program = build_into(folder, "faults-program");
    let environment = [("OPERATOR_STORE", store), AUDIT];
    let mut server = Server::start_with(&program, folder, &environment);
    for key in ["=1+1", "second"] {
        assert_eq!(post(server.port, "/ring", key, "{}").unwrap().status, 200);
    }
    let gate = Gate::new(folder, "lost");
    let (body, port) = (gate.body(), server.port);
    let calling = std::thread::spawn({
        let body = body.clone();
        move || post(port, "/charge", "lost", &body)
    });
    gate.wait_until_reached();
    server.kill();
    calling.join().unwrap().unwrap_err();
    let server = Server::start_with(&program, folder, &environment);
    let deadline = Instant::now() + Duration::from_secs(30);
    let operation = loop {
        let answer = post(server.port, "/charge", "lost", &body).unwrap();
        if answer.status == 500 {
            break answer.json()["operation"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < deadline, "{}", answer.body);
    };
    // Without OPERATOR_AUDIT, because the person may not have the server's environment.
    let settled = Command::new(&program)
        .args(["operations", "settle", &operation, "--not-done", "--by", "Ana\u{1b}[2J"])
        .current_dir(folder)
        .env("OPERATOR_STORE", store)
        .output()
        .unwrap();
    assert!(settled.status.success(), "{settled:?}");
    gate.open();
    assert_eq!(post(server.port, "/charge", "lost", &body).unwrap().status, 200);

    let print = |arguments: &[&str]| printed(audit(&program, folder, &environment[..1], arguments));
    let rows = |arguments: &[&str]| -> Vec<Value> {
        let text = print(&[&["--format", "jsonl"], arguments].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let of_operation = rows(&["--operation", &operation[..12]]);
    let told: Vec<_> = of_operation
        .iter()
        .rev()
        .map(|row| {
            (
                row["outcome"].clone(),
                row["attempts"].clone(),
                row["settled_by"].clone(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (json!("outcome_unknown"), json!(1), json!(null)),
            (json!("not_done"), json!(1), json!("Ana\u{1b}[2J")),
            (json!("done"), json!(2), json!(null)),
        ]
    );
    // The row of the settlement says what was asked, and by whom.
    for row in &of_operation {
        assert_eq!(row["inputs"], serde_json::from_str::<Value>(&body).unwrap(), "{row}");
        assert_eq!(
            (&row["key_id"], &row["scheme"]),
            (&json!("default"), &json!("hmac")),
            "{row}"
        );
    }
    let keys = |arguments: &[&str]| -> Vec<Value> {
        rows(arguments)
            .iter()
            .map(|row| row["idempotency_key"].clone())
            .collect()
    };
    assert_eq!(keys(&["--endpoint", "ring"]), ["second", "=1+1"], "the newest first");
    assert_eq!(keys(&["--key", "second", "--since", "1h"]), ["second"]);
    let path = body.split('"').nth(3).unwrap();
    assert_eq!(keys(&["--input", &format!("gate={path}")]).len(), 3);
    assert!(keys(&["--input", "gate=elsewhere"]).is_empty());

    let table = print(&[]);
    assert!(
        table.starts_with("ENDED") && table.contains("Ana\\u001b[2J") && !table.contains('\u{1b}'),
        "{table}"
    );
    let csv = print(&["--format", "csv", "--endpoint", "ring"]);
    assert!(
        csv.starts_with("ended,operation,idempotency_key,") && csv.contains(",'=1+1,"),
        "{csv}"
    );
    assert_eq!(print(&["--key", "nothing"]), "The audit has no such row.\n");
    for (wrong, said) in [
        (["--since", "yesterday"], "`30d`"),
        (["--operation", "xyz"], "hexadecimal digits"),
        (["--input", "order_id"], "`order_id=1004`"),
        (["--format", "xml"], "jsonl"),
    ] {
        let refused = audit(&program, folder, &environment, &wrong);
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && text.contains(said), "{text}");
    }
}

#[test]
fn the_audit_of_a_sqlite_file_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    a_settlement_is_listed(folder.path(), "sqlite:operator.db");
    let program = build_into(folder.path(), "faults-program");
    let refused = audit(&program, folder.path(), &[("OPERATOR_STORE", "memory:")], &[]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && text.contains("keeps no audit"), "{text}");
}

#[test]
fn the_audit_of_a_postgres_database_is_printed() {
    let (folder, postgres) = (tempfile::tempdir().unwrap(), Postgres::start(&[]));
    a_settlement_is_listed(folder.path(), &postgres.url());
}
