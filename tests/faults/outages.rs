//! The store's own server is killed in the middle and started again: calls are refused meanwhile, and then go on.

use tests::process::build_into;
use tests::services::{Postgres, Redis};

use crate::calm::keys;
use crate::programs::{lines, postgres_credits};
use crate::storm::Storm;

const KILLS: usize = 12;

#[test]
fn a_redis_that_is_killed_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = Redis::start(&[("appendonly", "yes"), ("appendfsync", "always")]);
    let storm = Storm {
        program: &build_into(folder.path(), "faults-program", &[]),
        folder: folder.path(),
        environment: &[("OPERATOR_STORE", &redis.url())],
        servers: 1,
        path: "/charge",
        body: |_| "{}".to_owned(),
    };
    let calm = storm.kill_store(KILLS, |is_up| if is_up { redis.restart() } else { redis.kill() });
    let charges = keys(lines(&folder.path().join("ledger")));
    calm.is_at_most_once(&storm, "store's server killed, at most once", "Redis", &charges);
}

#[test]
fn a_postgres_that_is_stopped_at_once_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start(&[]);
    let storm = Storm {
        program: &build_into(folder.path(), "faults-program", &[]),
        folder: folder.path(),
        environment: &[("OPERATOR_STORE", &postgres.url())],
        servers: 1,
        path: "/credit",
        body: |_| "{}".to_owned(),
    };
    let calm = storm.kill_store(KILLS, |is_up| if is_up { postgres.restart() } else { postgres.kill() });
    let credits = keys(postgres_credits(&postgres));
    calm.is_transactional(&storm, "store's server killed, transactional", "Postgres", &credits);
}

#[test]
fn a_postgres_that_is_stopped_at_once_runs_nothing_twice_that_acts_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start(&[]);
    let storm = Storm {
        program: &build_into(folder.path(), "faults-program", &[]),
        folder: folder.path(),
        environment: &[("OPERATOR_STORE", &postgres.url())],
        servers: 1,
        path: "/charge",
        body: |_| "{}".to_owned(),
    };
    let calm = storm.kill_store(KILLS, |is_up| if is_up { postgres.restart() } else { postgres.kill() });
    let charges = keys(lines(&folder.path().join("ledger")));
    calm.is_at_most_once(&storm, "store's server killed, at most once", "Postgres", &charges);
}
