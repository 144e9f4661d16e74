//! The store's primary fails ten times in the middle of calls, and another server takes its place: a replica that
//! Sentinel promotes, or a synchronous standby of Postgres.

use std::cell::{Cell, RefCell};
use std::path::Path;

use tests::moving::MovingAddress;
use tests::process::build_into;
use tests::sentinel::{NAME, Sentinels};
use tests::services::{Postgres, Redis};

use crate::calm::keys;
use crate::programs::{lines, postgres_credits, postgres_rows, wait_until};
use crate::storm::Storm;

const FAILOVERS: usize = 10;

/// Calls two servers, whose store address is in `environment`.
fn storm<'s>(program: &'s Path, folder: &'s Path, environment: &'s [(&'s str, &'s str)], path: &'s str) -> Storm<'s> {
    Storm {
        servers: 2,
        ..Storm::of(program, folder, environment, path)
    }
}

const KEPT: &[(&str, &str)] = &[
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    ("repl-diskless-sync-delay", "0"),
];

#[test]
fn redis_failovers_by_sentinel_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let first = Redis::start(KEPT);
    let replicas = [(); 2].map(|()| first.replica_with(KEPT));
    let sentinels = Sentinels::start(&first, "");
    sentinels.wait_until_agreed(replicas.len());
    let url = format!("{}?wait=1", sentinels.url(NAME));
    let environment = [("OPERATOR_STORE", url.as_str())];
    let storm = storm(&program, folder.path(), &environment, "/charge");

    let [second, third] = replicas;
    let nodes = RefCell::new([first, second, third]);
    let (failed, frozen) = (Cell::new(0), RefCell::new(None));
    let calm = storm.fail_over(
        FAILOVERS,
        |time| {
            let mut nodes = nodes.borrow_mut();
            let primary = sentinels.wait_until_agreed(2);
            let number = nodes.iter().position(|node| node.port == primary).unwrap();
            failed.set(number);
            if time % 2 == 0 {
                nodes[number].kill();
            } else {
                *frozen.borrow_mut() = Some(nodes[number].freeze());
            }
            let _promoted = sentinels.wait_until_failed_over(primary);
        },
        |_| {
            let mut nodes = nodes.borrow_mut();
            // A server that continues is made a replica by the Sentinels.
            if frozen.borrow_mut().take().is_none() {
                let primary = sentinels.wait_until_failed_over(nodes[failed.get()].port);
                nodes[failed.get()].restart_as_a_replica_of(primary);
            }
            wait_until("the replication", || {
                let primary = sentinels.wait_until_agreed(2);
                let primary = nodes.iter().find(|node| node.port == primary).unwrap();
                primary.try_ask("WAIT 2 1000").as_deref() == Some(":2")
            });
        },
    );
    let charges = keys(lines(&folder.path().join("ledger")));
    calm.is_at_most_once(&storm, "failovers by Sentinel, wait=1", "Redis", &charges);
}

/// A primary whose commits wait for its standby.
struct Pair {
    primary: Postgres,
    standby: Postgres,
}

impl Pair {
    fn start() -> Self {
        let primary = Postgres::start(&[]);
        let standby = primary.standby();
        let pair = Self { primary, standby };
        pair.synchronize();
        pair
    }

    /// The standby itself, once it is the primary, does not wait until it has a standby.
    fn synchronize(&self) {
        for (server, standbys) in [(&self.standby, ""), (&self.primary, "*")] {
            postgres_rows(
                server,
                &format!("ALTER SYSTEM SET synchronous_standby_names = '{standbys}'"),
            );
            postgres_rows(server, "SELECT pg_reload_conf()");
        }
        let synchronous = "SELECT FROM pg_stat_replication WHERE sync_state = 'sync'";
        wait_until("the replication", || {
            postgres_rows(&self.primary, synchronous).len() == 1
        });
    }

    /// The standby becomes the primary, and a new server its standby.
    fn replace(&mut self, standby: impl FnOnce(&Postgres) -> Postgres) {
        let standby = standby(&self.standby);
        self.primary = std::mem::replace(&mut self.standby, standby);
        self.synchronize();
    }
}

#[test]
fn postgres_failovers_between_two_hosts_of_an_address_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let pair = Pair::start();
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", pair.primary.port, pair.standby.port);
    let url = format!("postgres://operator@{hosts}/postgres");
    let environment = [("OPERATOR_STORE", url.as_str())];
    let storm = storm(&program, folder.path(), &environment, "/credit");
    let pair = RefCell::new(pair);
    let calm = storm.fail_over(
        FAILOVERS,
        |_| {
            let mut pair = pair.borrow_mut();
            pair.primary.destroy();
            pair.standby.promote();
        },
        |_| {
            let mut pair = pair.borrow_mut();
            let port = pair.primary.port;
            pair.replace(|primary| primary.standby_at(port));
        },
    );
    let credits = keys(postgres_credits(&pair.borrow().primary));
    calm.is_transactional(&storm, "failovers, two hosts in the address", "Postgres", &credits);
}

#[test]
fn postgres_failovers_behind_an_address_that_moves_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let pair = Pair::start();
    let address = MovingAddress::to(pair.primary.port);
    let url = format!("postgres://operator@127.0.0.1:{}/postgres", address.port);
    let environment = [("OPERATOR_STORE", url.as_str())];
    let storm = storm(&program, folder.path(), &environment, "/credit");
    let (pair, frozen) = (RefCell::new(pair), RefCell::new(None));
    let calm = storm.fail_over(
        FAILOVERS,
        |time| {
            let mut pair = pair.borrow_mut();
            if time % 2 == 0 {
                pair.primary.destroy();
            } else {
                *frozen.borrow_mut() = Some(pair.primary.freeze());
            }
            pair.standby.promote();
            address.move_to(pair.standby.port);
        },
        |_| {
            let mut pair = pair.borrow_mut();
            if frozen.borrow_mut().take().is_some() {
                pair.primary.destroy();
            }
            pair.replace(Postgres::standby);
        },
    );
    let credits = keys(postgres_credits(&pair.borrow().primary));
    calm.is_transactional(&storm, "failovers behind one address", "Postgres", &credits);
}
