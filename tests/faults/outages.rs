//! The store's server is killed during calls and started again: calls are refused meanwhile, and answered again
//! afterwards.

use std::path::Path;

use tests::process::build_into;
use tests::services::{Postgres, Redis};

use crate::calm::keys;
use crate::programs::{lines, postgres_credits};
use crate::storm::Storm;

const KILLS: usize = 12;

/// Calls one server, whose store address is in `environment`.
fn storm<'s>(program: &'s Path, folder: &'s Path, environment: &'s [(&'s str, &'s str)], path: &'s str) -> Storm<'s> {
    Storm::of(program, folder, environment, path)
}

#[test]
fn a_killed_redis_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = Redis::start(&[("appendonly", "yes"), ("appendfsync", "always")]);
    let program = build_into(folder.path(), "faults-program");
    let url = redis.url();
    let environment = [("OPERATOR_STORE", url.as_str())];
    let storm = storm(&program, folder.path(), &environment, "/charge");
    let calm = storm.kill_store(KILLS, |is_up| if is_up { redis.restart() } else { redis.kill() });
    let charges = keys(lines(&folder.path().join("ledger")));
    calm.is_at_most_once(&storm, "store's server killed, at most once", "Redis", &charges);
}

#[test]
fn a_postgres_with_an_immediate_stop_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start(&[]);
    let program = build_into(folder.path(), "faults-program");
    let url = postgres.url();
    let environment = [("OPERATOR_STORE", url.as_str())];
    let storm = storm(&program, folder.path(), &environment, "/credit");
    let calm = storm.kill_store(KILLS, |is_up| if is_up { postgres.restart() } else { postgres.kill() });
    let credits = keys(postgres_credits(&postgres));
    calm.is_transactional(&storm, "store's server killed, transactional", "Postgres", &credits);
}

#[test]
fn a_postgres_with_an_immediate_stop_repeats_no_effect_in_other_systems() {
    let folder = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start(&[]);
    let program = build_into(folder.path(), "faults-program");
    let url = postgres.url();
    let environment = [("OPERATOR_STORE", url.as_str())];
    let storm = storm(&program, folder.path(), &environment, "/charge");
    let calm = storm.kill_store(KILLS, |is_up| if is_up { postgres.restart() } else { postgres.kill() });
    let charges = keys(lines(&folder.path().join("ledger")));
    calm.is_at_most_once(&storm, "store's server killed, at most once", "Postgres", &charges);
}
