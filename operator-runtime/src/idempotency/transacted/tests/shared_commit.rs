//! Several jobs in one transaction of the writer thread. The jobs share the commit, the transaction accepts jobs for a
//! limited time, and a failure of one job does not affect the others.

use std::pin::Pin;
use std::task::{Context, Waker};

use tokio::sync::oneshot;

use super::*;
use crate::clock::ManualClock;
use crate::idempotency::admission::{Asked, Claim};
use crate::meter::CallMeter;
use crate::store::Durability;

type Call<T> = Pin<Box<dyn Future<Output = T>>>;

/// A writer with a paused clock, so that no transaction exceeds its time limit. A first handler keeps its transaction
/// open while the test fills the writer's queue.
struct Queue {
    desk: Arc<Desk>,
    clock: Arc<ManualClock>,
    path: std::path::PathBuf,
    held: Option<(Call<Outcome>, oneshot::Sender<()>)>,
    first_runs: Arc<AtomicU32>,
}

impl Queue {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("operator.db");
        let clock = Arc::new(ManualClock::at(MINUTE));
        let store = SqliteStore::open_with(&path, Durability::PowerLoss, clock.clone()).expect("opens");
        Self {
            desk: Arc::new(desk_of(directory, store)),
            clock,
            path,
            held: None,
            first_runs: Arc::default(),
        }
    }

    /// Inserts the refund "first", and makes later calls wait.
    async fn begin(&mut self) {
        let (release, gate) = oneshot::channel();
        let (started, running) = oneshot::channel();
        let (mut gate, mut started) = (Some(gate), Some(started));
        let (desk, runs) = (self.desk.clone(), self.first_runs.clone());
        let handlers = move || {
            let (gate, started, runs) = (gate.take(), started.take(), runs.clone());
            handler(|tx| {
                Box::pin(async move {
                    runs.fetch_add(1, Ordering::SeqCst);
                    pay(tx, "first");
                    if let (Some(gate), Some(started)) = (gate, started) {
                        started.send(()).expect("heard");
                        gate.await.expect("released");
                    }
                    finished(200, "first")
                })
            })
        };
        let id = OperationId::new("tenant", "first");
        let first = self.queue(async move {
            desk.operations
                .transact(asked(id, first("first"), MINUTE), &Arc::default(), NO_NEEDS, handlers)
                .await
        });
        running.await.expect("started");
        self.held = Some((first, release));
    }

    /// Polls a call once, which puts it into the writer's queue.
    #[expect(
        clippy::unused_self,
        reason = "a method shows in the tests that the call goes into the queue"
    )]
    fn queue<T>(&self, asking: impl Future<Output = T> + 'static) -> Call<T> {
        let mut asking: Call<T> = Box::pin(asking);
        let polled = asking.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "answered before it was queued");
        asking
    }

    fn call(&self, key: &'static str, handler: TransactionalHandler) -> Call<Outcome> {
        let desk = self.desk.clone();
        self.queue(async move { desk.call(key, handler).await })
    }

    /// Like [`call`](Self::call), with a handler that may run more than once.
    fn call_again(
        &self,
        key: &'static str,
        handlers: impl Fn() -> TransactionalHandler + Send + 'static,
    ) -> Call<Outcome> {
        let (desk, id) = (self.desk.clone(), OperationId::new("tenant", key));
        self.queue(async move {
            desk.operations
                .transact(asked(id, first(key), MINUTE), &Arc::default(), NO_NEEDS, handlers)
                .await
        })
    }

    /// Lets the first handler end, so that the queued handlers begin.
    async fn release(&mut self) {
        let (first, release) = self.held.take().expect("begun");
        release.send(()).expect("waited for");
        assert_eq!(body(first.await), (false, "first".to_owned()));
    }

    /// Claims an operation without a transaction.
    async fn mail(&self) -> Claim {
        let asked = Asked {
            id: OperationId::new("tenant", "mail"),
            first: &first("mail"),
            effect: Effect::AtMostOnce,
            max_execution: MINUTE,
            longest_wait: Duration::MAX,
            meter: &CallMeter::of("mail"),
            draft: &None,
        };
        self.desk.operations.admit(&asked).await.expect("the store answers")
    }
}

/// The number of committed refunds, read through another connection while a handler runs.
fn committed(path: &std::path::Path) -> u32 {
    let connection = Connection::open(path).expect("opens");
    let count = connection.query_row("SELECT count(*) FROM refund", (), |row| row.get(0));
    count.expect("counts")
}

fn is_answer(outcome: Outcome, expected: &str) {
    assert_eq!(body(outcome), (false, expected.to_owned()));
}

#[tokio::test]
async fn in_a_shared_commit_a_failure_undoes_only_itself() {
    let mut queue = Queue::new();
    queue.begin().await;
    let calls = [("1", 200), ("2", 500), ("3", 200), ("4", 404)].map(|(name, status)| {
        let path = queue.path.clone();
        let pays = handler(move |tx| {
            Box::pin(async move {
                pay(tx, name);
                assert_eq!(committed(&path), 0, "{name} shares the first one's commit");
                finished(status, name)
            })
        });
        (name, queue.call(name, pays))
    });
    queue.release().await;
    for (name, call) in calls {
        is_answer(call.await, name);
    }
    assert_eq!(queue.desk.refunds().await, ["1", "3", "first"]);
}

#[tokio::test]
async fn a_transaction_does_not_wait_for_jobs_after_slow_handlers() {
    let mut queue = Queue::new();
    queue.begin().await;
    let calls = [("1", 0), ("2", 1), ("3", 2)].map(|(name, before)| {
        let (path, clock) = (queue.path.clone(), queue.clock.clone());
        let pays = handler(move |tx| {
            Box::pin(async move {
                pay(tx, name);
                assert_eq!(committed(&path), if before == 0 { 0 } else { before + 1 }, "{name}");
                clock.advance(Duration::from_millis(50));
                finished(200, name)
            })
        });
        (name, queue.call(name, pays))
    });
    // On the paused clock, the first handler's commit takes no time, so its transaction accepts only one of these
    // handlers.
    queue.release().await;
    for (name, call) in calls {
        is_answer(call.await, name);
    }
    assert_eq!(queue.desk.refunds().await, ["1", "2", "3", "first"]);
}

/// SQL that ends the transaction or makes its commit fail, for all jobs that share it.
const HARM: [&str; 3] = [
    "INSERT OR ROLLBACK INTO one VALUES (1)",
    "INSERT OR ROLLBACK INTO one VALUES (1); SAVEPOINT mine",
    "INSERT INTO child VALUES (7)",
];
const TABLES: &str = "
    CREATE TABLE one (n INTEGER UNIQUE);
    INSERT INTO one VALUES (1);
    CREATE TABLE parent (n INTEGER PRIMARY KEY);
    CREATE TABLE child (n INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
";

#[tokio::test]
async fn a_handler_that_ends_the_shared_transaction_does_not_undo_other_calls() {
    for harm in HARM {
        let mut queue = Queue::new();
        let store = queue.desk.store.clone();
        store
            .setup(|connection| connection.execute_batch(TABLES))
            .expect("set up");
        let Claim::Run(lease) = queue.mail().await else {
            panic!("nobody has sent it")
        };
        queue.begin().await;
        let recording = queue.queue(lease.complete(finished(200, "sent")));
        let before = queue.call_again("before", || refund("before", finished(200, "before")));
        let harmful = queue.call_again("harmful", move || {
            handler(move |tx| {
                Box::pin(async move {
                    for sql in harm.split("; ") {
                        let _ = tx.execute_batch(sql);
                    }
                    let _ = tx.execute("INSERT INTO refund VALUES ('harmful')", ());
                    finished(200, "harmful")
                })
            })
        });
        let after = queue.call_again("after", || refund("after", finished(200, "after")));
        queue.release().await;
        let recorded = recording.await;
        assert!(matches!(recorded, Ok(Answer::Response { .. })), "{harm}: {recorded:?}");
        let (before, harmful, after) = tokio::join!(before, harmful, after);
        is_answer(before, "before");
        is_answer(after, "after");
        assert!(
            matches!(
                harmful,
                Err(StoreError::TransactionEnded | StoreError::Unavailable { .. })
            ),
            "{harm}: {harmful:?}"
        );
        assert_eq!(queue.desk.refunds().await, ["after", "before", "first"], "{harm}");
        assert_eq!(
            queue.first_runs.load(Ordering::SeqCst),
            2,
            "{harm}: the handler did not share the first transaction"
        );
        assert!(
            matches!(queue.mail().await, Claim::Told(Recorded::Replayed(_))),
            "{harm}"
        );
    }
}
