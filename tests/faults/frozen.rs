//! A Postgres server that accepts connections but does not answer: start-up fails with a message, and a serving process
//! can be stopped.

use std::fs::File;
use std::net::TcpListener;
use std::process::Command;

use tests::caller::post;
use tests::process::{Server, build_into};
use tests::services::Postgres;

use crate::programs::{postgres_credits, refusal_to_start, wait_until};

#[test]
fn start_up_on_a_silent_postgres_ends_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let store = format!("postgres://operator@{address}/postgres?connect_timeout=1");
    let said = refusal_to_start(&program, folder.path(), &[("OPERATOR_STORE", &store)]);
    for words in ["did not answer in time", "Check that the server runs at this address"] {
        assert!(said.contains(words), "{said}");
    }
}

/// Waits until a process waits for SIGTERM. Until then, the signal would end a usual process, but the kernel drops it for
/// one whose id is 1, as in a container.
fn wait_until_sigterm_is_caught(process: u32) {
    wait_until("the start of waiting for SIGTERM", || {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & 1 << 14 != 0
    });
}

#[test]
fn sigterm_ends_a_start_up_that_waits_for_a_frozen_postgres() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let postgres = Postgres::start(&[]);
    let _frozen = postgres.freeze();
    let store = format!("{}?connect_timeout=3600", postgres.url());
    for command in ["serve", "dev"] {
        let log = folder.path().join(command);
        let mut starting = Command::new(&program);
        starting.arg(command).stderr(File::create(&log).unwrap());
        let child = Server::serving(&mut starting, folder.path(), &[("OPERATOR_STORE", &store)])
            .spawn()
            .unwrap();
        // It has no port yet.
        let mut server = Server::adopt(child, 0);
        wait_until_sigterm_is_caught(server.pid());
        server.terminate();
        assert_eq!(server.exit_code(), Some(0), "{command}");
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("stopped by a signal during start-up"), "{command}: {log}");
    }
}

#[test]
fn a_process_whose_postgres_is_frozen_answers_and_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let postgres = Postgres::start(&[]);
    let mut server = Server::start_on(&program, folder.path(), &postgres.url());
    let frozen = postgres.freeze();
    // The first call finds a connection that was in use just before, and its claim waits for Postgres.
    let begun = post(server.port, "/credit", "begun", "{}").unwrap();
    assert!([409, 503].contains(&begun.status), "{}", begun.body);
    let answer = post(server.port, "/credit", "frozen", "{}").unwrap();
    assert_eq!(answer.status, 503, "{}", answer.body);
    for answer in [begun, answer] {
        assert!(answer.head.to_lowercase().contains("retry-after"), "{}", answer.head);
    }
    // The caller has its answer, but a call may still wait for a connection.
    server.terminate();
    assert_eq!(server.exit_code(), Some(0));
    drop(frozen);
    assert_eq!(postgres_credits(&postgres), [""; 0]);
}
