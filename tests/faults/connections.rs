//! Callers that hang up, with half-closed and reset connections, while the handler runs.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use tests::caller::{now, post, signed_post};
use tests::process::{Server, build_into};
use tests::proof::Row;
use tests::services::{Postgres, Redis};

use crate::programs::{Gate, lines};

const CALLS: usize = 12;

fn a_caller_that_hangs_up_finds_its_answer_when_it_comes_back(store: &str, address: &str) {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "faults-program");
    let server = Server::start_on(&program, folder.path(), address);
    let mut lost = 0;
    for call in 0..CALLS {
        let key = format!("hangs-up-{call}");
        let gate = Gate::new(folder.path(), &key);
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream
            .write_all(signed_post(now(), "/charge", &key, &gate.body()).as_bytes())
            .unwrap();
        gate.wait_until_reached();
        if call % 2 == 0 {
            stream.shutdown(Shutdown::Write).unwrap();
            gate.open();
            // The call may be answered or not; it only has to end.
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
        } else {
            // Unread bytes make the kernel reset the connection when it is closed.
            stream.write_all(b"x").unwrap();
            drop(stream);
            gate.open();
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        let again = loop {
            let again = post(server.port, "/charge", &key, &gate.body()).unwrap();
            if again.status != 409 || Instant::now() > deadline {
                break again;
            }
        };
        lost += usize::from(again.status != 200 || !again.is_replay());
    }
    let charges = lines(&folder.path().join("ledger")).len();
    let row = Row {
        proof: "callers half-close or reset",
        store,
        tried: &format!("{CALLS} operations"),
        lost: lost + CALLS.saturating_sub(charges),
        doubled: charges.saturating_sub(CALLS),
    };
    row.record();
}

#[test]
fn a_caller_that_hangs_up_finds_its_answer_in_sqlite() {
    a_caller_that_hangs_up_finds_its_answer_when_it_comes_back("SQLite", "sqlite:operator.db");
}

#[test]
fn a_caller_that_hangs_up_finds_its_answer_in_postgres() {
    let postgres = Postgres::start(&[]);
    a_caller_that_hangs_up_finds_its_answer_when_it_comes_back("Postgres", &postgres.url());
}

#[test]
fn a_caller_that_hangs_up_finds_its_answer_in_redis() {
    let redis = Redis::start(&[]);
    a_caller_that_hangs_up_finds_its_answer_when_it_comes_back("Redis", &redis.url());
}
