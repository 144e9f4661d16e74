//! What is recorded and answered after each outcome of a handler, for every effect and every store.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod flaky;
mod stage;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use operator_runtime::store::{BoxFuture, MemoryStore, PostgresStore, RedisStore, SqliteStore, Store};
use operator_runtime::testing::{Answer, Client};
use operator_runtime::{App, Config, Settings, endpoints};
use serde_json::json;
use tests::proof::Row;

use flaky::Flaky;
use stage::{Stage, TABLE, again, in_postgres, in_sqlite, once};

const COUNT: &str = "SELECT count(*) FROM effect";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Effect {
    Once,
    Again,
    Transaction,
}

type Counting = Box<dyn Fn() -> BoxFuture<'static, i64>>;

/// An endpoint with one effect, on one store.
struct Case {
    endpoint: &'static str,
    effect: Effect,
    client: Client,
    /// Calls the same endpoint on the same store, with short leases and a short wait for duplicates.
    impatient: Client,
    calls: AtomicU32,
    stage: Stage,
    store: Flaky,
    /// Counts the effects, if they are in the database.
    effects: Option<Counting>,
}

async fn case(endpoint: &'static str, effect: Effect, inner: Arc<dyn Store>, effects: Option<Counting>) -> Case {
    let stage = Stage::new();
    let store = Flaky {
        inner,
        down: Arc::default(),
        refuses_ends: Arc::default(),
        met: Arc::default(),
    };
    let chosen = || match endpoint {
        "once" => endpoints![once],
        "again" => endpoints![again],
        "in_sqlite" => endpoints![in_sqlite],
        _ => endpoints![in_postgres],
    };
    let app = || App::new().only(chosen()).state(stage.clone()).store(store.clone());
    let settings = Settings::default()
        .lease(Duration::from_secs(4))
        .renew_every(Duration::from_secs(2))
        .wait(Duration::from_millis(50));
    let impatient = app().config(Config::new().operations(settings));
    Case {
        endpoint,
        effect,
        client: Client::new(app()).await.unwrap(),
        impatient: Client::new(impatient).await.unwrap(),
        calls: AtomicU32::new(0),
        stage,
        store,
        effects,
    }
}

impl Case {
    async fn call(&self, key: &str, ends: &str) -> Answer {
        self.call_by(&self.client, key, ends).await
    }

    async fn call_by(&self, client: &Client, key: &str, ends: &str) -> Answer {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let client = client.with_idempotency_key(format!("{}-{key}", self.endpoint));
        client.call(self.endpoint, &json!({ "ends": ends })).await
    }

    /// Makes two calls with one key. Returns both answers and how often the handler has run.
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

    async fn check(&self, store: &str) {
        let rows = tokio::time::timeout(Duration::from_secs(120), self.rows());
        rows.await.expect("every row ends");
        // A lost or doubled effect would already have failed the test.
        let row = Row {
            proof: &format!("what becomes of each outcome, {}", self.effect.in_words()),
            store,
            tried: &format!("{} calls", self.calls.load(Ordering::SeqCst)),
            lost: 0,
            doubled: 0,
        };
        row.record();
    }

    /// Tests every row of the table of outcomes.
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
            "unknown",
            "panic",
            "unwritable",
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
                    (first.status.as_u16(), second.status.as_u16(), second.replayed, runs),
                    (status, status, false, 2),
                    "{told}"
                );
            }
            "500" => {
                let expected = if at_most_once { (true, 1) } else { (false, 2) };
                assert_eq!((first.status.as_u16(), second.status.as_u16()), (500, 500), "{told}");
                assert_eq!((second.replayed, runs), expected, "{told}");
            }
            "unknown" | "panic" | "unwritable" | "hang" if at_most_once => {
                assert_eq!(
                    (first.status.as_u16(), second.status.as_u16(), runs),
                    (500, 500, 1),
                    "{told}"
                );
                assert!(
                    kind(&first).ends_with("outcome-unknown") && kind(&second).ends_with("outcome-unknown"),
                    "{told}"
                );
                let operation = first.body["operation"].as_str().unwrap_or_default();
                assert!(operation.len() == 64 && second.body["operation"] == operation, "{told}");
            }
            "unknown" if self.effect == Effect::Again => {
                for answer in [&first, &second] {
                    let detail = answer.body["detail"].as_str().unwrap_or_default();
                    assert!(detail.contains("safe to send the call again"), "{told}");
                    assert_eq!(
                        (answer.status.as_u16(), answer.retry_after.is_some()),
                        (503, true),
                        "{told}"
                    );
                }
                assert_eq!(runs, 2, "{told}");
            }
            "unknown" | "panic" | "unwritable" | "hang" => {
                let status = if ends == "hang" { 503 } else { 500 };
                assert_eq!(
                    (first.status.as_u16(), second.status.as_u16(), runs),
                    (status, status, 2),
                    "{told}"
                );
            }
            _ if self.effect == Effect::Transaction => {
                assert_eq!(
                    (first.status.as_u16(), second.status.as_u16(), runs),
                    (500, 500, 2),
                    "{told}"
                );
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
                assert_eq!(
                    (first.status.as_u16(), second.status.as_u16(), runs),
                    (200, 500, 1),
                    "long"
                );
                assert!(kind(&second).ends_with("response-not-kept"));
            }
        }
    }

    fn begin(&self, key: &'static str) -> tokio::task::JoinHandle<Answer> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let client = self.client.with_idempotency_key(format!("{}-{key}", self.endpoint));
        let endpoint = self.endpoint;
        tokio::spawn(async move { client.call(endpoint, &json!({ "ends": "gated" })).await })
    }

    async fn a_duplicate_waits(&self) {
        let first = self.begin("waits");
        self.stage.started.acquire().await.unwrap().forget();
        let mut duplicate = pin!(self.call("waits", "gated"));
        let mut met = pin!(self.store.met.notified());
        met.as_mut().enable();
        let waits = async {
            // A transactional call waits in the store or before it, beginning with its first poll.
            if self.effect != Effect::Transaction {
                met.await;
            }
        };
        tokio::select! {
            biased;
            answer = &mut duplicate => panic!("answered while the first call runs: {answer:?}"),
            () = waits => {}
        }
        self.stage.go.add_permits(1);
        let (first, duplicate) = (first.await.unwrap(), duplicate.await);
        assert_eq!((first.status.as_u16(), first.replayed), (200, false), "{first:?}");
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
        assert_eq!((answer.status.as_u16(), answer.replayed), (200, true), "{answer:?}");
        assert_eq!(self.stage.runs.load(Ordering::SeqCst), runs);
    }

    /// Skips transactions: there, an outcome that cannot be recorded has not taken effect, and another test covers
    /// that.
    async fn an_end_that_cannot_be_recorded_is_no_success(&self) {
        if self.effect == Effect::Transaction {
            return;
        }
        let (runs, begun) = (self.stage.runs.load(Ordering::SeqCst), Instant::now());
        self.store.refuses_ends.store(true, Ordering::SeqCst);
        let answer = self.call_by(&self.impatient, "unrecorded", "200").await;
        self.store.refuses_ends.store(false, Ordering::SeqCst);
        assert_eq!(
            (answer.status.as_u16(), answer.retry_after.is_some()),
            (503, true),
            "{answer:?}"
        );
        // The effect has taken place, so the answer must not say that nothing has happened.
        let kind = answer.body["type"].as_str().unwrap_or_default();
        assert!(kind.ends_with("outcome-not-recorded"), "{answer:?}");
        assert_eq!(self.stage.runs.load(Ordering::SeqCst), runs + 1);

        let retry = || self.call_by(&self.impatient, "unrecorded", "200");
        let (mut answer, mut told_to_wait) = (retry().await, 0);
        while answer.status == 409 {
            told_to_wait += 1;
            answer = retry().await;
        }
        let lease_is_over = begun.elapsed() >= Duration::from_secs(4);
        assert!(told_to_wait > 0 || lease_is_over, "within the lease: {answer:?}");
        let kind = answer.body["type"].as_str().unwrap_or_default().to_owned();
        let ran = self.stage.runs.load(Ordering::SeqCst) - runs - 1;
        if self.effect == Effect::Once {
            assert!(answer.status == 500 && kind.ends_with("outcome-unknown"), "{answer:?}");
            assert_eq!(ran, 0);
        } else {
            assert_eq!(
                (answer.status.as_u16(), answer.replayed, ran),
                (200, false, 1),
                "{answer:?}"
            );
        }
    }

    async fn a_store_that_is_down_starts_nothing(&self) {
        let runs = self.stage.runs.load(Ordering::SeqCst);
        self.store.down.store(true, Ordering::SeqCst);
        let answer = self.call("down", "200").await;
        self.store.down.store(false, Ordering::SeqCst);
        assert_eq!(
            (answer.status.as_u16(), answer.retry_after.is_some()),
            (503, true),
            "{answer:?}"
        );
        assert_eq!(self.stage.runs.load(Ordering::SeqCst), runs);
        assert_eq!(self.call("down", "200").await.status, 200);
    }
}

impl Effect {
    fn in_words(self) -> &'static str {
        match self {
            Self::Once => "at most once",
            Self::Again => "rerunnable",
            Self::Transaction => "transactional",
        }
    }
}

/// Tests the two effects whose handlers act in other systems.
async fn elsewhere(name: &str, store: Arc<dyn Store>) {
    case("once", Effect::Once, store.clone(), None).await.check(name).await;
    case("again", Effect::Again, store, None).await.check(name).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory() {
    elsewhere("memory", Arc::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_redis() {
    let server = tests::services::Redis::start(&[]);
    elsewhere("Redis", Arc::new(RedisStore::connect(&server.url()).await.unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("operator.db")).unwrap());
    store.setup(|connection| connection.execute_batch(TABLE)).unwrap();
    elsewhere("SQLite", store.clone()).await;
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
        .check("SQLite")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres() {
    let server = tests::services::Postgres::start(&[]);
    let store = Arc::new(PostgresStore::connect(&server.url()).await.unwrap());
    store.setup(TABLE).await.unwrap();
    elsewhere("Postgres", store.clone()).await;
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
        .check("Postgres")
        .await;
}

#[tokio::test]
async fn a_transaction_on_a_store_without_any_is_refused_at_start() {
    let app = App::new().only(endpoints![in_postgres]).store(MemoryStore::new());
    let refused = Client::new(app).await.unwrap_err().to_string();
    assert!(
        refused.contains("Tx<Postgres>") && refused.contains("set `App::store`"),
        "{refused}"
    );
}
