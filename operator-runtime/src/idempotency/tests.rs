//! Random histories of operations on several servers, compared with a reference model, on every store.

mod gate;
mod history;
mod limited;
mod reference;
mod simulation;

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRunner};
use tokio::runtime::Runtime;

use self::history::{Action, SERVERS, histories};
use self::simulation::{Effects, Reached, Simulation, World};
use crate::clock::{ManualClock, SystemClock};
use crate::store::{MemoryStore, Store};
use crate::support::proof::Row;

const YEARS: Duration = Duration::from_secs(50 * 365 * 24 * 60 * 60);

const OUTCOMES: [&str; 13] = [
    "first attempt",
    "another attempt",
    "recorded",
    "in doubt",
    "fenced or unanswered",
    "given up",
    "replay",
    "still running",
    "mismatch",
    "not kept",
    "settled",
    "settled again",
    "taken back",
];
const TRANSACTIONS: [&str; 5] = [
    "transaction",
    "replay of a transaction",
    "crash in a transaction",
    "lost commit",
    "unknown commit",
];

/// Runs `count` histories, and fails with the shortest history that breaks a rule.
fn hold(store: &str, world: &dyn World, runtime: &Runtime, count: u32) {
    let config = Config {
        cases: count,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        // A fast random number generator, because the test spends most of its time on random numbers. The numbers need
        // not be unpredictable.
        rng_algorithm: RngAlgorithm::XorShift,
        ..Config::default()
    };
    let number = Cell::new(0_u32);
    let reached = RefCell::new(Reached::new());
    let run = |history: Vec<Action>| {
        number.set(number.get() + 1);
        let name = format!("history {}", number.get());
        let simulation = Simulation::new(world, runtime, name);
        let caught = std::panic::catch_unwind(AssertUnwindSafe(|| simulation.run(&history)));
        let history = caught.map_err(|panic| TestCaseError::fail(message(&*panic)))?;
        let mut reached = reached.borrow_mut();
        history
            .into_iter()
            .for_each(|(what, often)| *reached.entry(what).or_default() += often);
        Ok(())
    };
    match TestRunner::new(config).run(&histories(), run) {
        Ok(()) => {}
        Err(TestError::Fail(reason, shortest)) => {
            let lines: Vec<_> = shortest.iter().map(|action| format!("  {action:?}")).collect();
            panic!("{reason}\nthe shortest history that shows it:\n{}", lines.join("\n"));
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
    let reached = reached.into_inner();
    println!("{reached:?}");
    let mut missing = OUTCOMES.to_vec();
    missing.extend(world.effects().map(|_| TRANSACTIONS).into_iter().flatten());
    let tries_two_at_once = world.effects().is_some() && world.clock().is_some();
    missing.extend(tries_two_at_once.then_some("two at once"));
    missing.retain(|outcome| !reached.contains_key(outcome));
    assert_eq!(missing, [""; 0], "no history reached these events");
    // The counts are zero, because a history that loses or repeats an effect fails the test above.
    let row = Row {
        proof: "random histories of three servers",
        store,
        tried: &format!("{count} histories, crashes and lost answers in each step"),
        lost: 0,
        doubled: 0,
    };
    row.record();
}

/// The async runtime for the store's own work.
fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("a runtime")
}

/// The message of a panic.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic")
        .to_owned()
}

struct Memory {
    store: Arc<MemoryStore>,
    clock: Option<Arc<ManualClock>>,
}

impl World for Memory {
    fn stores(&self) -> [Arc<dyn Store>; SERVERS] {
        std::array::from_fn(|_| self.store.clone() as Arc<dyn Store>)
    }

    fn clock(&self) -> Option<&ManualClock> {
        self.clock.as_deref()
    }

    fn effects(&self) -> Option<&dyn Effects> {
        None
    }
}

#[test]
fn ten_thousand_histories_in_memory() {
    let clock = Arc::new(ManualClock::at(YEARS));
    let store = Arc::new(MemoryStore::with(usize::MAX, clock.clone()));
    hold(
        "memory",
        &Memory {
            store,
            clock: Some(clock),
        },
        &runtime(),
        10_000,
    );
}

/// Tests the `AddedTime` that stores with their own clock need.
#[test]
fn a_thousand_histories_on_a_clock_that_no_test_can_set() {
    let store = Arc::new(MemoryStore::with(usize::MAX, Arc::new(SystemClock::new())));
    hold("memory, time added", &Memory { store, clock: None }, &runtime(), 1_000);
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use super::*;
    use crate::idempotency::outcome::HandlerOutcome;
    use crate::idempotency::transacted::TransactionalHandler;
    use crate::store::{Durability, Sqlite, SqliteStore};
    use crate::transaction::Tx;

    /// One file that each server opens separately, as separate processes would.
    struct File {
        directory: tempfile::TempDir,
        stores: [Arc<SqliteStore>; SERVERS],
        clock: Arc<ManualClock>,
    }

    impl World for File {
        fn stores(&self) -> [Arc<dyn Store>; SERVERS] {
            self.stores.clone().map(|store| store as Arc<dyn Store>)
        }

        fn clock(&self) -> Option<&ManualClock> {
            Some(&self.clock)
        }

        fn effects(&self) -> Option<&dyn Effects> {
            Some(self)
        }
    }

    impl Effects for File {
        fn handler(&self, effect: String, outcome: HandlerOutcome) -> TransactionalHandler {
            Box::new(move |handle, _limit| {
                let tx = handle.downcast_mut::<Tx<Sqlite>>().expect("the store's own type");
                tx.execute("INSERT INTO effects VALUES (?1)", [effect])
                    .expect("inserted");
                Box::pin(std::future::ready(outcome))
            })
        }

        fn happened(&self, prefix: &str) -> Vec<String> {
            let connection = rusqlite::Connection::open(self.directory.path().join("operator.db")).expect("opens");
            let mut statement = connection
                .prepare("SELECT name FROM effects WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name")
                .expect("the table is there");
            let names = statement.query_map([prefix], |row| row.get(0)).expect("reads");
            names.collect::<Result<_, _>>().expect("reads")
        }
    }

    #[test]
    fn two_thousand_histories_on_one_file_that_three_servers_have_opened() {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = Arc::new(ManualClock::at(YEARS));
        let path = directory.path().join("operator.db");
        let stores = std::array::from_fn(|_| {
            let store = SqliteStore::open_with(&path, Durability::ProcessCrash, clock.clone());
            Arc::new(store.expect("opens"))
        });
        let table = "CREATE TABLE effects (name TEXT PRIMARY KEY) WITHOUT ROWID";
        stores[0]
            .setup(|connection| connection.execute_batch(table))
            .expect("set up");
        hold(
            "SQLite, one file",
            &File {
                directory,
                stores,
                clock,
            },
            &runtime(),
            2_000,
        );
    }
}

/// Connections to a store with its own server process, one for each simulated server.
#[cfg(feature = "redis")]
struct Connected([Arc<dyn Store>; SERVERS]);

#[cfg(feature = "redis")]
impl World for Connected {
    fn stores(&self) -> [Arc<dyn Store>; SERVERS] {
        self.0.clone()
    }

    fn clock(&self) -> Option<&ManualClock> {
        None
    }

    fn effects(&self) -> Option<&dyn Effects> {
        None
    }
}

#[cfg(feature = "redis")]
impl Connected {
    fn to(address: &str, runtime: &Runtime) -> Self {
        let connect = || runtime.block_on(crate::store::open(address)).expect("connects");
        Self(std::array::from_fn(|_| connect()))
    }
}

#[cfg(feature = "redis")]
#[test]
fn a_thousand_histories_on_redis() {
    let (redis, runtime) = (crate::support::services::Redis::start(&[]), runtime());
    hold("Redis", &Connected::to(&redis.url(), &runtime), &runtime, 1_000);
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;
    use crate::idempotency::outcome::HandlerOutcome;
    use crate::idempotency::transacted::TransactionalHandler;
    use crate::store::{Postgres, PostgresStore};
    use crate::transaction::Tx;

    /// One database, with a separate connection pool for each server.
    struct Database<'r> {
        stores: [Arc<PostgresStore>; SERVERS],
        runtime: &'r Runtime,
    }

    impl World for Database<'_> {
        fn stores(&self) -> [Arc<dyn Store>; SERVERS] {
            self.stores.clone().map(|store| store as Arc<dyn Store>)
        }

        fn clock(&self) -> Option<&ManualClock> {
            None
        }

        fn effects(&self) -> Option<&dyn Effects> {
            Some(self)
        }
    }

    impl Effects for Database<'_> {
        fn handler(&self, effect: String, outcome: HandlerOutcome) -> TransactionalHandler {
            Box::new(move |handle, _limit| {
                Box::pin(async move {
                    let tx = handle.downcast_mut::<Tx<Postgres>>().expect("the store's own type");
                    let insert = tx.prepare_cached("INSERT INTO effects VALUES ($1)").await;
                    let inserted = tx.execute(&insert.expect("prepared"), &[&effect]).await;
                    inserted.expect("inserted");
                    outcome
                })
            })
        }

        fn happened(&self, prefix: &str) -> Vec<String> {
            self.runtime.block_on(async {
                let session = self.stores[0].reader().session().await.expect("connects");
                let sql = "SELECT name FROM effects WHERE starts_with(name, $1) ORDER BY name";
                let names = session.prepare_cached(sql).await.expect("the table is there");
                let rows = session.query(&names, &[&prefix]).await.expect("reads");
                rows.iter().map(|row| row.get(0)).collect()
            })
        }
    }

    #[test]
    fn a_thousand_histories_on_one_postgres_that_three_servers_are_connected_to() {
        let (server, runtime) = (crate::support::services::Postgres::start(&[]), runtime());
        let connect = || {
            Arc::new(
                runtime
                    .block_on(PostgresStore::connect(&server.url()))
                    .expect("connects"),
            )
        };
        let stores: [_; SERVERS] = std::array::from_fn(|_| connect());
        let table = "CREATE TABLE effects (name text COLLATE \"C\" PRIMARY KEY)";
        runtime.block_on(stores[0].setup(table)).expect("set up");
        let world = Database {
            stores,
            runtime: &runtime,
        };
        hold("Postgres", &world, &runtime, 1_000);
    }
}
