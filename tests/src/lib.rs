//! Code that the tests of this package share: programs of this workspace that run as processes, database servers, a
//! caller that signs its requests, and the captured log and counters.

pub mod caller;
pub mod certificates;
pub mod cluster;
pub mod counters;
pub mod log;
pub mod moving;
pub mod pooler;
pub mod process;
pub mod sentinel;
// Both files are shared with the unit tests of `operator-runtime`. They are in that package, so that its tests run
// without this one.
#[path = "../../operator-runtime/tests/support/proof.rs"]
pub mod proof;
#[path = "../../operator-runtime/tests/support/services.rs"]
pub mod services;
pub mod standby;

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use crate::services::{Postgres, Redis};

    #[test]
    fn a_killed_redis_comes_back_with_what_it_kept() {
        let mut redis = Redis::start(&[("appendonly", "yes"), ("appendfsync", "always")]);
        assert_eq!(redis.ask("SET key 7"), "+OK");
        redis.kill();
        TcpStream::connect(("127.0.0.1", redis.port)).expect_err("the server is gone");
        redis.restart();
        assert_eq!(redis.ask("INCR key"), ":8");
    }

    #[test]
    fn a_killed_postgres_comes_back_with_what_it_kept() {
        let mut postgres = Postgres::start(&[]);
        let _ = postgres.database("kept");
        postgres.kill();
        TcpStream::connect(("127.0.0.1", postgres.port)).expect_err("the server is gone");
        postgres.restart();
        assert!(
            std::panic::catch_unwind(|| postgres.database("kept")).is_err(),
            "the database exists already"
        );
    }
}
