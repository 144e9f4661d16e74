//! Tests that effects and answers are committed together, on SQLite.

mod lost_commit;
mod shared_commit;

use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::Connection;

use super::*;
use crate::idempotency::lease::Lease;
use crate::pipeline::execution::{Stopped, execute};
use crate::record::operation::{Fingerprint, Origin};
use crate::store::{Response, Sqlite, SqliteStore, Store};
use crate::transaction::Tx;

/// The endpoint has no limits.
const NO_NEEDS: Needs = Ok(Vec::new());
const MINUTE: Duration = Duration::from_secs(60);

fn asked(id: OperationId, first: Arc<Record>, max_execution: Duration) -> TransactionAsked {
    TransactionAsked {
        id,
        first,
        max_execution,
        draft: None,
    }
}

struct Desk {
    directory: tempfile::TempDir,
    store: Arc<SqliteStore>,
    operations: Operations,
}

fn open(directory: tempfile::TempDir) -> Desk {
    let store = SqliteStore::open(directory.path().join("operator.db")).expect("opens");
    desk_of(directory, store)
}

fn desk_of(directory: tempfile::TempDir, store: SqliteStore) -> Desk {
    let store = Arc::new(store);
    store
        .setup(|connection| connection.execute_batch("CREATE TABLE IF NOT EXISTS refund (name TEXT NOT NULL)"))
        .expect("set up");
    let settings = Settings {
        response_limit: 100,
        ..Settings::default()
    };
    let operations = Operations::new(store.clone(), settings);
    Desk {
        directory,
        store,
        operations,
    }
}

fn desk() -> Desk {
    open(tempfile::tempdir().expect("a directory"))
}

fn finished(status: u16, body: &str) -> HandlerOutcome {
    let body = body.to_owned().into();
    HandlerOutcome::Finished {
        response: Response {
            status: http::StatusCode::from_u16(status).expect("a status"),
            content_type: "text/plain".into(),
            body,
        },
        kind: None,
    }
}

fn handler(
    work: impl for<'t> FnOnce(&'t mut Tx<Sqlite>) -> BoxFuture<'t, HandlerOutcome> + Send + 'static,
) -> TransactionalHandler {
    Box::new(move |handle, limit| {
        let working = async move { work(handle.downcast_mut().expect("the store's own type")).await };
        Box::pin(async move {
            match execute(working, limit, None::<&mut Lease>).await {
                Ok(outcome) => outcome,
                Err(Stopped::Panicked(_)) => HandlerOutcome::Panicked,
                Err(Stopped::TimedOut) => HandlerOutcome::TimedOut,
            }
        })
    })
}

/// A handler that may run only once. The transactions of these tests have no conflicts, so a second run is an error.
fn once(handler: TransactionalHandler) -> impl FnMut() -> TransactionalHandler {
    let mut handler = Some(handler);
    move || handler.take().expect("run once")
}

/// Inserts the refund `name`, and then ends with `outcome`.
fn refund(name: &'static str, outcome: HandlerOutcome) -> TransactionalHandler {
    handler(move |tx| {
        Box::pin(async move {
            pay(tx, name);
            outcome
        })
    })
}

fn pay(connection: &Connection, name: &str) {
    connection
        .execute("INSERT INTO refund VALUES (?1)", [name])
        .expect("inserts");
}

fn first(key: &str) -> Arc<Record> {
    Arc::new(Record::first(
        Fingerprint::new("POST", "/refunds", "text/plain", b""),
        Origin::new("refund_order", key, "tenant"),
    ))
}

impl Desk {
    async fn call(&self, key: &str, handler: TransactionalHandler) -> Outcome {
        self.operations
            .transact(
                asked(OperationId::new("tenant", key), first(key), MINUTE),
                &Arc::default(),
                NO_NEEDS,
                once(handler),
            )
            .await
    }

    async fn refunds(&self) -> Vec<String> {
        let reading = self.store.reader().read(|connection| {
            let mut statement = connection.prepare_cached("SELECT name FROM refund ORDER BY name")?;
            statement.query_map([], |row| row.get(0))?.collect()
        });
        reading.await.expect("reads")
    }
}

fn body(outcome: Outcome) -> (bool, String) {
    let text = |response: Response| String::from_utf8(response.body.to_vec()).expect("text");
    match outcome.expect("the store answers") {
        Transacted::Ran(Answer::Response { response, .. }) => (false, text(response)),
        Transacted::Told(Recorded::Replayed(response)) => (true, text(response)),
        other => panic!("no response: {other:?}"),
    }
}

#[tokio::test]
async fn effect_and_answer_are_kept_together_and_survive_the_process() {
    let desk = desk();
    assert_eq!(
        body(desk.call("1", refund("a", finished(200, "first"))).await),
        (false, "first".to_owned())
    );
    let Desk { directory, store, .. } = desk;
    store.close().await;
    let desk = open(directory);
    assert_eq!(
        body(desk.call("1", refund("b", finished(200, "second"))).await),
        (true, "first".to_owned())
    );
    assert_eq!(desk.refunds().await, ["a"]);
}

#[tokio::test]
async fn a_refusal_keeps_its_answer_and_undoes_its_effects() {
    let desk = desk();
    assert_eq!(
        body(desk.call("1", refund("a", finished(404, "no"))).await),
        (false, "no".to_owned())
    );
    assert_eq!(
        body(desk.call("1", refund("b", finished(200, "yes"))).await),
        (true, "no".to_owned())
    );
    assert!(desk.refunds().await.is_empty());
}

#[tokio::test]
async fn a_failure_leaves_nothing_and_the_retry_runs() {
    let desk = desk();
    let panics = || {
        handler(|tx| {
            Box::pin(async move {
                pay(tx, "panic");
                panic!("in the handler")
            })
        })
    };
    assert!(matches!(
        desk.call("1", panics()).await,
        Ok(Transacted::Ran(Answer::Failed))
    ));
    let panics_at_once = handler(|_| panic!("before the first await"));
    assert!(matches!(
        desk.call("1", panics_at_once).await,
        Ok(Transacted::Ran(Answer::Failed))
    ));
    let failed = desk.call("1", refund("a", finished(500, "failed"))).await;
    assert_eq!(body(failed), (false, "failed".to_owned()));
    let long = "a".repeat(101);
    let too_long = desk.call("1", refund("long", finished(200, &long))).await;
    assert!(matches!(too_long, Ok(Transacted::Ran(Answer::TooLong { limit: 100 }))));
    assert!(desk.refunds().await.is_empty());
    assert_eq!(
        body(desk.call("1", refund("b", finished(200, "done"))).await),
        (false, "done".to_owned())
    );
    assert_eq!(desk.refunds().await, ["b"]);
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_undone() {
    let desk = desk();
    let stuck = handler(|tx| {
        Box::pin(async move {
            pay(tx, "stuck");
            std::future::pending().await
        })
    });
    let outcome = desk
        .operations
        .transact(
            asked(OperationId::new("tenant", "1"), first("1"), Duration::from_millis(1)),
            &Arc::default(),
            NO_NEEDS,
            once(stuck),
        )
        .await;
    assert!(matches!(outcome, Ok(Transacted::Ran(Answer::TimedOut))));
    assert!(desk.refunds().await.is_empty());
}

/// An endless query.
const ENDLESS: &str = "WITH RECURSIVE endless (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless)";

#[tokio::test]
async fn a_statement_that_takes_too_long_is_interrupted_and_undone() {
    let desk = desk();
    for endless in [
        format!("{ENDLESS} SELECT max(n) FROM endless"),
        format!("{ENDLESS} INSERT INTO refund SELECT n FROM endless"),
    ] {
        let stuck = handler(|tx| {
            Box::pin(async move {
                pay(tx, "stuck");
                let error = tx.execute_batch(&endless).expect_err("interrupted");
                assert_eq!(
                    error.sqlite_error_code(),
                    Some(rusqlite::ErrorCode::OperationInterrupted)
                );
                finished(500, "failed")
            })
        });
        let (limit, progress) = (Duration::from_millis(50), Arc::default());
        let calling = desk.operations.transact(
            asked(OperationId::new("tenant", "1"), first("1"), limit),
            &progress,
            NO_NEEDS,
            once(stuck),
        );
        let outcome = calling.await;
        assert!(matches!(outcome, Ok(Transacted::Ran(Answer::TimedOut))), "{outcome:?}");
        assert!(desk.refunds().await.is_empty());
    }
    let again = refund("again", finished(200, "done"));
    assert_eq!(body(desk.call("1", again).await), (false, "done".to_owned()));
    assert_eq!(desk.refunds().await, ["again"]);
}

#[tokio::test]
async fn a_reader_answers_while_a_handler_keeps_the_writers_transaction_open() {
    let desk = desk();
    let (release, gate) = tokio::sync::oneshot::channel::<()>();
    let (started, running) = tokio::sync::oneshot::channel();
    let waits = handler(|tx| {
        Box::pin(async move {
            pay(tx, "a");
            started.send(()).expect("heard");
            gate.await.expect("released");
            finished(200, "done")
        })
    });
    let mut calling = pin!(desk.call("1", waits));
    let reading = async {
        running.await.expect("started");
        let read = tokio::time::timeout(MINUTE, desk.refunds()).await;
        release.send(()).expect("waited for");
        read.expect("the reader does not wait for the writer")
    };
    let (outcome, read) = tokio::join!(&mut calling, reading);
    assert_eq!(read, Vec::<String>::new(), "the reader sees only committed refunds");
    body(outcome);
    assert_eq!(desk.refunds().await, ["a"]);
}

#[tokio::test]
async fn a_handler_cannot_end_its_transaction() {
    let desk = desk();
    for sql in [
        "COMMIT",
        "ROLLBACK",
        "BEGIN",
        "RELEASE operator_handler",
        "ROLLBACK TO OPERATOR_job",
        "/**/ end",
    ] {
        let ends = handler(move |tx| {
            Box::pin(async move {
                pay(tx, "before");
                match tx.execute_batch(sql) {
                    Ok(()) => finished(200, "ended"),
                    Err(_) => finished(400, "refused"),
                }
            })
        });
        assert_eq!(body(desk.call(sql, ends).await), (false, "refused".to_owned()), "{sql}");
    }
    assert!(desk.refunds().await.is_empty());
}

#[tokio::test]
async fn a_handler_may_use_savepoints_of_its_own() {
    let desk = desk();
    let nested = handler(|tx| {
        Box::pin(async move {
            pay(tx, "kept");
            tx.execute_batch("SAVEPOINT mine").expect("allowed");
            pay(tx, "undone");
            tx.execute_batch("ROLLBACK TO mine").expect("allowed");
            finished(200, "done")
        })
    });
    body(desk.call("1", nested).await);
    assert_eq!(desk.refunds().await, ["kept"]);
}

#[tokio::test]
async fn statements_after_a_rollback_by_sqlite_are_not_kept() {
    let desk = desk();
    // `OR ROLLBACK` makes SQLite end the transaction, as a full disk would.
    let lost = handler(|tx| {
        Box::pin(async move {
            let unique =
                "CREATE TABLE one (n UNIQUE); INSERT INTO one VALUES (1); INSERT OR ROLLBACK INTO one VALUES (1)";
            tx.execute_batch(unique).expect_err("a duplicate");
            let _ = tx.execute("INSERT INTO refund VALUES ('outside')", []);
            finished(200, "lost")
        })
    });
    assert!(matches!(desk.call("1", lost).await, Err(StoreError::TransactionEnded)));
    assert!(desk.refunds().await.is_empty());
    assert_eq!(
        body(desk.call("1", refund("a", finished(200, "again"))).await),
        (false, "again".to_owned())
    );
    assert_eq!(desk.refunds().await, ["a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_24_identical_calls_at_once_one_takes_effect() {
    let desk = Arc::new(desk());
    let runs = Arc::new(AtomicU32::new(0));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..24 {
        let (desk, runs) = (desk.clone(), runs.clone());
        calls.spawn(async move {
            let counted = handler(move |tx| {
                Box::pin(async move {
                    pay(tx, "a");
                    finished(200, &runs.fetch_add(1, Ordering::SeqCst).to_string())
                })
            });
            body(desk.call("1", counted).await).1
        });
    }
    while let Some(answer) = calls.join_next().await {
        assert_eq!(answer.expect("no panic"), "0");
    }
    assert_eq!(desk.refunds().await, ["a"]);
}

#[tokio::test]
async fn a_handler_that_runs_again_has_only_the_rest_of_its_time() {
    let desk = desk();
    let runs = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&runs);
    let in_the_way_and_then_stuck = move || {
        let run = counter.fetch_add(1, Ordering::SeqCst);
        handler(move |tx| {
            Box::pin(async move {
                pay(tx, "stuck");
                if run > 0 {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(Duration::from_secs(3)).await;
                HandlerOutcome::Conflict
            })
        })
    };
    let (id, time, progress) = (OperationId::new("tenant", "1"), Duration::from_secs(6), Arc::default());
    let call = desk.operations.transact(
        asked(id, first("1"), time),
        &progress,
        NO_NEEDS,
        in_the_way_and_then_stuck,
    );
    // With a limit of its own, the second run would end after nine seconds.
    let outcome = tokio::time::timeout(Duration::from_millis(8_500), call).await;
    assert!(
        matches!(outcome, Ok(Ok(Transacted::Ran(Answer::TimedOut)))),
        "{outcome:?}"
    );
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert!(desk.refunds().await.is_empty());
}
