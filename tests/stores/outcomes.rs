//! What becomes of each outcome of a handler, for every effect, on every store.

#![allow(clippy::unwrap_used, reason = "a test: what cannot be unwrapped fails it")]

mod flaky;
mod stage;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use operator_runtime::store::{BoxFuture, MemoryStore, PostgresStore, RedisStore, SqliteStore, Store};
use operator_runtime::testing::{Answer, Client};
use operator_runtime::{App, endpoints};
use serde_json::json;
use tokio::sync::Semaphore;

use flaky::Flaky;
use stage::{Stage, again, in_postgres, in_sqlite, once};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS effect (what text NOT NULL)";
const COUNT: &str = "SELECT count(*) FROM effect";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Effect {
    Once,
    Again,
    Transaction,
}

type Counting = Box<dyn Fn() -> BoxFuture<'static, i64>>;

/// One effect on one store.
struct Case {
    endpoint: &'static str,
    effect: Effect,
    client: Client,
    stage: Stage,
    store: Flaky,
    /// What has taken effect, where effects are in the database.
    effects: Option<Counting>,
}

async fn case(endpoint: &'static str, effect: Effect, inner: Arc<dyn Store>, effects: Option<Counting>) -> Case {
    let semaphore = || Arc::new(Semaphore::new(0));
    let stage = Stage {
        runs: Arc::default(),
        started: semaphore(),
        go: semaphore(),
    };
    let store = Flaky {
        inner,
        down: Arc::default(),
        refuses_ends: Arc::default(),
    };
    let chosen = match endpoint {
        "once" => endpoints![once],
        "again" => endpoints![again],
        "in_sqlite" => endpoints![in_sqlite],
        _ => endpoints![in_postgres],
    };
    let app = App::new().only(chosen).state(stage.clone()).store(store.clone());
    Case {
        endpoint,
        effect,
        client: Client::new(app).await.unwrap(),
        stage,
        store,
        effects,
    }
}

impl Case {
    async fn call(&self, key: &str, ends: &str) -> Answer {
        let client = self.client.with_idempotency_key(format!("{}-{key}", self.endpoint));
        client.call(self.endpoint, &json!({ "ends": ends })).await
    }

    /// Calls twice under one key; both answers, and how often the handler ran.
    async fn twice(&self, ends: &str) -> (Answer, Answer, u32) {
        let before = self.stage.runs.load(Ordering::SeqCst);
        let (first, second) = (self.call(ends, ends).await, self.call(ends, ends).await);
        for answer in [&first, &second] {
            assert!(!answer.body.to_string().contains("inner text"), "{answer:?}");
        }
        (first, second, self.stage.runs.load(Ordering::SeqCst) - before)
    }

    async fn effects(&self) -> Option<i64> {
        match &self.effects {
            Some(count) => Some(count().await),
            None => None,
        }
    }

    async fn check(&self) {
        let rows = tokio::time::timeout(Duration::from_secs(120), self.rows());
        rows.await.expect("every row ends");
    }

    /// Every row of the table.
    async fn rows(&self) {
        let mut expected = 0;
        for row in [
            "200",
            "404",
            "408",
            "425",
            "429",
            "retryable",
            "500",
            "panic",
            "hang",
            "long",
        ] {
            self.row(row).await;
            expected += i64::from(row == "200");
            let effects = self.effects().await;
            assert!(
                effects.is_none_or(|effects| effects == expected),
                "{row}: {effects:?} effects"
            );
        }
        self.a_duplicate_waits().await;
        self.a_lost_caller_changes_nothing().await;
        let effects = self.effects().await;
        assert!(
            effects.is_none_or(|effects| effects == expected + 2),
            "{effects:?} effects"
        );
        self.an_end_that_cannot_be_recorded_is_no_success().await;
        self.a_store_that_is_down_starts_nothing().await;
    }

    async fn row(&self, ends: &str) {
        let (first, second, runs) = self.twice(ends).await;
        let told = format!("{} {ends}: {first:?} {second:?} {runs}", self.store.describe());
        let kind = |answer: &Answer| answer.body["type"].as_str().unwrap_or_default().to_owned();
        let at_most_once = self.effect == Effect::Once;
        match ends {
            "200" | "404" => {
                assert_eq!((first.status, first.replayed), (ends.parse().unwrap(), false), "{told}");
                assert_eq!(
                    (second.status, &second.body, second.replayed, runs),
                    (first.status, &first.body, true, 1),
                    "{told}"
                );
            }
            "408" | "425" | "429" | "retryable" => {
                let status = ends.parse().unwrap_or(503);
                assert_eq!(
                    (first.status, second.status, second.replayed, runs),
                    (status, status, false, 2),
                    "{told}"
                );
            }
            "500" => {
                let expected = if at_most_once { (true, 1) } else { (false, 2) };
                assert_eq!((first.status, second.status), (500, 500), "{told}");
                assert_eq!((second.replayed, runs), expected, "{told}");
            }
            "panic" | "hang" if at_most_once => {
                assert_eq!((first.status, second.status, runs), (500, 500, 1), "{told}");
                assert!(
                    kind(&first).ends_with("outcome-unknown") && kind(&second).ends_with("outcome-unknown"),
                    "{told}"
                );
            }
            "panic" | "hang" => {
                let status = if ends == "panic" { 500 } else { 503 };
                assert_eq!((first.status, second.status, runs), (status, status, 2), "{told}");
            }
            _ if self.effect == Effect::Transaction => {
                assert_eq!((first.status, second.status, runs), (500, 500, 2), "{told}");
                for answer in [&first, &second] {
                    assert!(kind(answer).ends_with("answer-too-long"), "{told}");
                    let detail = answer.body["detail"].as_str().unwrap_or_default();
                    assert!(
                        detail.contains("262144 bytes") && detail.contains("nothing has happened"),
                        "{detail}"
                    );
                }
            }
            _ => {
                assert_eq!((first.status, second.status, runs), (200, 500, 1), "long");
                assert!(kind(&second).ends_with("response-not-kept"));
            }
        }
    }

    fn begin(&self, key: &'static str) -> tokio::task::JoinHandle<Answer> {
        let client = self.client.with_idempotency_key(format!("{}-{key}", self.endpoint));
        let endpoint = self.endpoint;
        tokio::spawn(async move { client.call(endpoint, &json!({ "ends": "gated" })).await })
    }

    async fn a_duplicate_waits(&self) {
        let first = self.begin("waits");
        self.stage.started.acquire().await.unwrap().forget();
        let duplicate = self.begin("waits");
        // It is given the time to get in the way, though nothing may come of it.
        tokio::task::yield_now().await;
        self.stage.go.add_permits(1);
        let (first, duplicate) = (first.await.unwrap(), duplicate.await.unwrap());
        assert_eq!((first.status, first.replayed), (200, false), "{first:?}");
        assert_eq!(
            (&duplicate.body, duplicate.replayed),
            (&first.body, true),
            "{duplicate:?}"
        );
    }

    async fn a_lost_caller_changes_nothing(&self) {
        let lost = self.begin("lost");
        self.stage.started.acquire().await.unwrap().forget();
        lost.abort();
        let runs = self.stage.runs.load(Ordering::SeqCst);
        self.stage.go.add_permits(1);
        let answer = self.call("lost", "gated").await;
        assert_eq!((answer.status, answer.replayed), (200, true), "{answer:?}");
        assert_eq!(self.stage.runs.load(Ordering::SeqCst), runs);
    }

    /// Where the end is part of the transaction, what cannot be recorded has not happened; that is another test's.
    async fn an_end_that_cannot_be_recorded_is_no_success(&self) {
        if self.effect == Effect::Transaction {
            return;
        }
        let runs = self.stage.runs.load(Ordering::SeqCst);
        self.store.refuses_ends.store(true, Ordering::SeqCst);
        let answer = self.call("unrecorded", "200").await;
        self.store.refuses_ends.store(false, Ordering::SeqCst);
        assert_eq!((answer.status, answer.retry_after.is_some()), (503, true), "{answer:?}");
        // The effect has happened, so that nobody is told that nothing was started.
        let kind = answer.body["type"].as_str().unwrap_or_default();
        assert!(kind.ends_with("outcome-not-recorded"), "{answer:?}");
        assert_eq!(self.stage.runs.load(Ordering::SeqCst), runs + 1);
    }

    async fn a_store_that_is_down_starts_nothing(&self) {
        let runs = self.stage.runs.load(Ordering::SeqCst);
        self.store.down.store(true, Ordering::SeqCst);
        let answer = self.call("down", "200").await;
        self.store.down.store(false, Ordering::SeqCst);
        assert_eq!((answer.status, answer.retry_after.is_some()), (503, true), "{answer:?}");
        assert_eq!(self.stage.runs.load(Ordering::SeqCst), runs);
        assert_eq!(self.call("down", "200").await.status, 200);
    }
}

/// The two effects that are elsewhere.
async fn elsewhere(store: Arc<dyn Store>) {
    case("once", Effect::Once, store.clone(), None).await.check().await;
    case("again", Effect::Again, store, None).await.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory() {
    elsewhere(Arc::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_redis() {
    let server = tests::services::Redis::start(&[]);
    elsewhere(Arc::new(RedisStore::connect(&server.url()).await.unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("operator.db")).unwrap());
    store.setup(|connection| connection.execute_batch(TABLE)).unwrap();
    elsewhere(store.clone()).await;
    let reading = store.clone();
    let count: Counting = Box::new(move || {
        let store = reading.clone();
        Box::pin(async move {
            let counting = store
                .reader()
                .read(|connection| connection.query_row(COUNT, (), |row| row.get(0)));
            counting.await.unwrap()
        })
    });
    case("in_sqlite", Effect::Transaction, store, Some(count))
        .await
        .check()
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres() {
    let server = tests::services::Postgres::start(&[]);
    let store = Arc::new(PostgresStore::connect(&server.url()).await.unwrap());
    store.setup(TABLE).await.unwrap();
    elsewhere(store.clone()).await;
    let reading = store.clone();
    let count: Counting = Box::new(move || {
        let store = reading.clone();
        Box::pin(async move {
            let session = store.reader().session().await.unwrap();
            session.query_one(COUNT, &[]).await.unwrap().get(0)
        })
    });
    case("in_postgres", Effect::Transaction, store, Some(count))
        .await
        .check()
        .await;
}

#[tokio::test]
async fn a_transaction_on_a_store_without_any_is_refused_at_start() {
    let app = App::new().only(endpoints![in_postgres]).store(MemoryStore::new());
    let refused = Client::new(app).await.unwrap_err().to_string();
    assert!(
        refused.contains("Tx<Postgres>") && refused.contains("OPERATOR_STORE"),
        "{refused}"
    );
}
