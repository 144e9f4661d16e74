//! What the audit says after each ending of an operation, on SQLite and Postgres, and what happens if a row cannot be
//! added.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod documented_query;
mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use operator_runtime::store::{
    AuditFilter, AuditRow, Audited, MemoryStore, OperationId, Origin, PostgresStore, SqliteStore, Store,
};
use operator_runtime::testing::{Answer, Client};
use operator_runtime::{
    App, Call, Config, Error, SettingName, endpoints, events::Event, operator_api, operator_event, operator_secrets,
    rusqlite,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tests::services::Postgres;

use stage::{Stage, TABLE, again, in_postgres, in_sqlite, once};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A store, and a client of endpoints with each effect on it.
struct Case {
    store: Arc<dyn Store>,
    stage: Stage,
    client: Client,
    transactional: &'static str,
}

impl Case {
    async fn new(store: Arc<dyn Store>, transactional: &'static str) -> Self {
        let stage = Stage::new();
        let own = endpoints![once, again, flaky, pay_out, keyed];
        let transaction = match transactional {
            "in_sqlite" => endpoints![in_sqlite],
            _ => endpoints![in_postgres],
        };
        let app = App::new()
            .config(Config::new().audit(DAY).api_keys("agent=op_sk_of_an_agent"))
            .only([own, transaction, endpoints![called_back]].into_iter().collect())
            .state(stage.clone())
            .state(Tries::default())
            .store(store.clone());
        Self {
            client: Client::new(app).await.unwrap(),
            store,
            stage,
            transactional,
        }
    }

    async fn call(&self, endpoint: &str, key: &str, inputs: &Value) -> Answer {
        let client = self.client.with_idempotency_key(key);
        client.call(endpoint, inputs).await
    }

    fn runs(&self) -> u32 {
        self.stage.runs.load(Ordering::SeqCst)
    }

    /// The rows of the operation with this key, the oldest first.
    async fn rows(&self, key: &str) -> Vec<AuditRow> {
        let mut filter = AuditFilter::default();
        filter.idempotency_key = Some(key.to_owned());
        let mut rows: Vec<_> = all(&*self.store, &filter).await;
        rows.reverse();
        rows.into_iter().map(|audited| audited.row).collect()
    }

    /// Makes two calls with one key, and compares the rows of their operation with `expected`: the outcome, the status
    /// and the number of attempts of each row.
    async fn twice(&self, endpoint: &str, ends: &str, expected: &[(&str, u16, u32)]) {
        let key = format!("{endpoint}-{ends}");
        let inputs = json!({ "ends": ends });
        let first = self.call(endpoint, &key, &inputs).await;
        let second = self.call(endpoint, &key, &inputs).await;
        let rows = self.rows(&key).await;
        let found: Vec<_> = rows
            .iter()
            .map(|row| (&*row.outcome, row.status.unwrap(), row.attempts))
            .collect();
        assert_eq!(found, expected, "{key}: {first:?} {second:?}");
        for row in rows {
            let told = (row.origin.endpoint(), row.origin.tenant(), row.key_id.as_deref());
            assert_eq!(told, (endpoint, "default", Some("default")), "{key}");
            assert_eq!(row.scheme.as_deref(), Some("hmac"));
            assert_eq!(row.inputs, Some(inputs.to_string()), "{key}");
            assert_eq!((row.settled_by, row.trace_id), (None, None));
            let answer = row.answer.map(|answer| serde_json::from_str::<Value>(&answer).unwrap());
            let has_answer = row.outcome != "outcome_unknown" && (ends != "long" || row.status != Some(200));
            assert_eq!(answer, has_answer.then_some(first.body.clone()), "{key}");
        }
    }

    async fn each_ending(&self) {
        for ends in ["408", "425", "429", "retryable"] {
            for endpoint in ["once", "again", self.transactional] {
                self.twice(endpoint, ends, &[]).await;
            }
        }
        for endpoint in ["once", "again", self.transactional] {
            self.twice(endpoint, "200", &[("done", 200, 1)]).await;
            self.twice(endpoint, "404", &[("declined", 404, 1)]).await;
        }
        for endpoint in ["once", "again"] {
            self.twice(endpoint, "long", &[("done", 200, 1)]).await;
        }
        self.twice("once", "500", &[("failed", 500, 1)]).await;
        for ends in ["unknown", "panic", "unwritable", "hang"] {
            self.twice("once", ends, &[("outcome_unknown", 500, 1)]).await;
        }
        // The retry runs the handler again, so the operation has not ended.
        for ends in ["500", "unknown", "panic", "unwritable", "hang"] {
            self.twice("again", ends, &[]).await;
        }
        // Each call is an operation of its own, because the transaction left no record.
        for ends in ["500", "unknown", "panic", "unwritable"] {
            self.twice(self.transactional, ends, &[("failed", 500, 1); 2]).await;
        }
        self.twice(self.transactional, "hang", &[("timed_out", 503, 1); 2])
            .await;
        self.twice(self.transactional, "long", &[("response_not_kept", 500, 1); 2])
            .await;
        self.attempts_are_counted().await;
        self.other_calls().await;
        self.secrets_are_hidden().await;
    }

    async fn attempts_are_counted(&self) {
        let statuses = [503, 503, 200, 200];
        for status in statuses {
            assert_eq!(self.call("flaky", "tries", &json!({})).await.status, status);
        }
        let rows = self.rows("tries").await;
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((&*row.outcome, row.attempts), ("done", 3));
    }

    /// Wrong inputs, a key made from inputs, another scheme, and an event.
    async fn other_calls(&self) {
        let wrong = self.call("once", "wrong", &json!({ "ends": 5.0, "more": 1 })).await;
        assert_eq!(wrong.status, 400);
        let rows = self.rows("wrong").await;
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!(
            (&*row.outcome, row.inputs.as_deref()),
            ("invalid", Some(r#"{"ends":5}"#))
        );
        assert!(row.answer.as_deref().unwrap().contains("invalid-input"), "{row:?}");

        let agent = self.client.with_api_key("op_sk_of_an_agent");
        for _ in 0..2 {
            assert_eq!(agent.call("keyed", &json!({ "order": 1004 })).await.status, 200);
        }
        let mut filter = AuditFilter::default();
        filter.endpoint = Some("keyed".to_owned());
        let rows = all(&*self.store, &filter).await;
        let [Audited { row, .. }] = rows.as_slice() else {
            panic!("{rows:?}")
        };
        assert!(row.origin.idempotency_key().starts_with("inputs-"), "{row:?}");
        let told = (row.scheme.as_deref(), row.key_id.as_deref(), row.inputs.as_deref());
        assert_eq!(told, (Some("api-key"), Some("agent"), Some(r#"{"order":1004}"#)));

        let event = json!({ "id": "ev_1", "payload": { "type": "shop.called_back", "at": 1 } });
        for _ in 0..2 {
            assert_eq!(self.client.event(&event).await.status, 200);
        }
        let rows = self.rows("ev_1").await;
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((row.origin.endpoint(), &*row.outcome), ("shop.called_back", "done"));
        let inputs: Value = serde_json::from_str(row.inputs.as_deref().unwrap()).unwrap();
        assert_eq!(inputs["payload"], event["payload"]);
    }

    async fn secrets_are_hidden(&self) {
        let inputs = json!({ "iban": "DE02120300000000202051", "cents": 5, "to": { "owner": "Ana", "pin": 1234 } });
        let answer = self.call("pay_out", "secret", &inputs).await;
        assert_eq!(answer.body["receipt"]["iban"], inputs["iban"], "the caller gets it");
        let rows = self.rows("secret").await;
        let row = rows.first().unwrap();
        assert_eq!(
            row.inputs.as_deref(),
            Some(r#"{"cents":5,"iban":"(secret)","to":{"owner":"Ana","pin":"(secret)"}}"#)
        );
        assert_eq!(
            row.answer.as_deref(),
            Some(r#"{"cents":5,"receipt":{"iban":"(secret)"}}"#)
        );
        let wrong = json!({ "iban": "DE0212", "cents": 5, "to": { "owner": "Ana", "pin": "hunter2" } });
        let answer = self.call("pay_out", "wrong-secret", &wrong).await;
        assert!(answer.status == 400 && answer.body["detail"].is_string());
        let rows = self.rows("wrong-secret").await;
        let shown = format!("{:?}", rows.first().unwrap());
        assert!(!shown.contains("hunter2") && !shown.contains("DE02"), "{shown}");
        assert!(shown.contains("to.pin"), "{shown}");
        let long = json!({ "iban": "DE02".repeat(20_000), "cents": 5, "to": { "owner": "Ana", "pin": 1234 } });
        assert_eq!(self.call("pay_out", "long-secret", &long).await.status, 200);
        let rows = self.rows("long-secret").await;
        assert_eq!(
            rows.first().unwrap().inputs.as_deref(),
            Some(r#"{"cents":5,"iban":"(secret)","to":{"owner":"Ana","pin":"(secret)"}}"#)
        );
        self.texts_are_bounded().await;
        for (cents, outcome) in [(404, "declined"), (503, "failed")] {
            let key = format!("secret-{cents}");
            let mut inputs = inputs.clone();
            inputs["cents"] = cents.into();
            let answer = self.call("pay_out", &key, &inputs).await;
            assert_eq!(answer.status, cents);
            assert!(
                answer.body["detail"].as_str().unwrap().contains("DE02"),
                "the caller gets it"
            );
            let rows = self.rows(&key).await;
            assert!(cents != 404 || rows.len() == 1, "{rows:?}");
            for row in rows {
                assert_eq!((&*row.outcome, row.status), (outcome, Some(cents)));
                let answer = row.answer.unwrap();
                assert!(answer.contains("(secret)") && !answer.contains("DE02"), "{answer}");
            }
        }
    }

    /// The text of the inputs has a bound, also where it is longer than the body.
    async fn texts_are_bounded(&self) {
        const LONGEST: usize = 64 * 1024;
        let numbers = json!({ "ends": vec![1e39; 10_000] });
        let hidden = json!({ "iban": "DE02", "cents": 5, "to": vec![1; 30_000] });
        for (endpoint, inputs) in [("once", &numbers), ("pay_out", &hidden)] {
            let key = format!("bounded-{endpoint}");
            assert!(inputs.to_string().len() < LONGEST);
            assert_eq!(self.call(endpoint, &key, inputs).await.status, 400);
            let rows = self.rows(&key).await;
            let text = rows.first().unwrap().inputs.as_deref().unwrap();
            assert!(text.len() <= LONGEST, "{endpoint}: {} bytes", text.len());
            serde_json::from_str::<Value>(text).unwrap();
        }
        // The other inputs stay.
        let owner = "Ana".repeat(30_000);
        let long = json!({ "iban": "DE02", "cents": 5, "to": { "owner": owner, "pin": 1234 } });
        assert_eq!(self.call("pay_out", "long-owner", &long).await.status, 200);
        let rows = self.rows("long-owner").await;
        let text = rows.first().unwrap().inputs.as_deref().unwrap();
        let kept = r#"{"cents":5,"iban":"(secret)","to":"(left out: 90"#;
        assert!(text.starts_with(kept) && text.len() < 100, "{text}");
    }

    /// Nothing acts while no row can be added, and everything acts again afterwards.
    async fn nothing_acts(&self, endpoint: &str, key: &str) {
        let runs = self.runs();
        let refused = self.call(endpoint, key, &json!({ "ends": "200" })).await;
        assert!([409, 503].contains(&refused.status.as_u16()), "{refused:?}");
        assert!(refused.retry_after.is_some(), "{refused:?}");
        assert_eq!(self.runs(), runs, "the handler did not run");
    }

    async fn acts_again(&self, endpoint: &str, key: &str) {
        let answer = self.call(endpoint, key, &json!({ "ends": "200" })).await;
        assert_eq!((answer.status.as_u16(), answer.replayed), (200, false), "{answer:?}");
        assert_eq!(self.rows(key).await.len(), 1);
    }
}

/// How often `flaky` has run.
#[derive(Default)]
struct Tries(AtomicU32);

/// Succeeds at the third attempt.
#[operator_api(POST, "/flaky")]
async fn flaky(tries: &Tries) -> Result<bool, Error> {
    match tries.0.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Err(Error::retryable("Not yet.")),
        _ => Ok(true),
    }
}

/// Whom to pay.
#[operator_secrets]
#[derive(Deserialize, JsonSchema)]
struct Payee {
    owner: String,
    #[operator(secret)]
    pin: u32,
}

/// What was paid.
#[operator_secrets]
#[derive(Serialize, JsonSchema)]
struct Receipt {
    #[operator(secret)]
    iban: String,
}

/// What was paid, and how much.
#[derive(Serialize, JsonSchema)]
struct Paid {
    cents: u32,
    receipt: Option<Receipt>,
}

/// Pays out.
#[operator_api(POST, "/pay-out")]
async fn pay_out(
    /// The account.
    #[operator(secret)]
    iban: String,
    /// How much.
    cents: u32,
    /// Whom.
    to: Payee,
) -> Result<Paid, Error> {
    match cents {
        404 => Err(Error::not_found(format!("There is no account {iban} of {}.", to.owner))),
        503 => Err(Error::retryable(format!(
            "The bank of {iban} does not accept {} now.",
            to.pin
        ))),
        _ => Ok(Paid {
            cents,
            receipt: Some(Receipt { iban }),
        }),
    }
}

/// Acts once for each order.
#[operator_api(POST, "/keyed", key(order))]
async fn keyed(
    call: &Call,
    /// The number on the receipt.
    order: u64,
) -> String {
    format!("{order} {}", call.idempotency_key())
}

/// A call back.
#[operator_event(custom = "shop.called_back")]
async fn called_back(event: &Event) -> Result<(), Error> {
    assert!(!event.id.is_empty());
    Ok(())
}

/// Every row, the newest first, read in small pages.
async fn all(store: &dyn Store, filter: &AuditFilter) -> Vec<Audited> {
    let log = store.audit().unwrap();
    let mut rows = Vec::new();
    let mut after = None;
    loop {
        let page = log.page(filter.clone(), after, 7).await.unwrap();
        rows.extend(page.rows);
        match page.next {
            Some(next) => after = Some(next),
            None => return rows,
        }
    }
}

/// Rows can be read in pages, by each filter, and are removed when they are old.
async fn rows_are_listed_and_removed(store: &dyn Store) {
    let log = store.audit().unwrap();
    for number in 0..20 {
        let key = format!("key-{number}");
        let origin = Origin::new(if number % 2 == 0 { "even" } else { "odd" }, &key, "shop\0");
        log.add(AuditRow::new(OperationId::new("shop", &key), origin, "done"))
            .await
            .unwrap();
    }
    let listed = all(store, &AuditFilter::default()).await;
    let keys: Vec<_> = listed
        .iter()
        .map(|audited| audited.row.origin.idempotency_key())
        .collect();
    let newest_first: Vec<_> = (0..20).rev().map(|number| format!("key-{number}")).collect();
    assert_eq!(keys, newest_first);
    assert!(listed.is_sorted_by(|newer, older| newer.ended >= older.ended));
    let one = listed[3].row.operation;
    let mut by_id = AuditFilter::default();
    by_id.operation = Some(one.to_string()[..10].to_owned());
    let found = all(store, &by_id).await;
    assert!(found.len() == 1 && found[0].row.operation == one, "{found:?}");
    let mut even = AuditFilter::default();
    even.endpoint = Some("even".to_owned());
    assert_eq!(all(store, &even).await.len(), 10);
    let mut later = AuditFilter::default();
    later.since = Some(listed[0].ended + Duration::from_secs(1));
    assert_eq!(all(store, &later).await, []);
    later.since = Some(listed[19].ended - Duration::from_secs(1));
    assert_eq!(all(store, &later).await.len(), 20);

    assert_eq!(log.sweep_rows(DAY, 100).await.unwrap(), 0);
    // A clock that counts milliseconds may give the last row the time of the sweep.
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(log.sweep_rows(Duration::ZERO, 15).await.unwrap(), 15);
    let left = all(store, &AuditFilter::default()).await;
    assert_eq!(left, listed[..5], "the oldest are removed first");
    assert_eq!(log.sweep_rows(Duration::ZERO, 15).await.unwrap(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_ending_adds_its_row_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("operator.db")).unwrap());
    rows_are_listed_and_removed(&*store).await;
    store.setup(|connection| connection.execute_batch(TABLE)).unwrap();
    Case::new(store, "in_sqlite").await.each_ending().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_ending_adds_its_row_on_postgres() {
    let server = Postgres::start(&[]);
    let store = Arc::new(PostgresStore::connect(&server.url()).await.unwrap());
    rows_are_listed_and_removed(&*store).await;
    store.setup(TABLE).await.unwrap();
    Case::new(store, "in_postgres").await.each_ending().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acts_while_a_person_locks_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("operator.db");
    let store = Arc::new(SqliteStore::open(&path).unwrap());
    store.setup(|connection| connection.execute_batch(TABLE)).unwrap();
    let case = Case::new(store, "in_sqlite").await;
    let person = rusqlite::Connection::open(&path).unwrap();
    person.execute_batch("BEGIN IMMEDIATE").unwrap();
    case.nothing_acts("once", "locked").await;
    person.execute_batch("ROLLBACK").unwrap();
    case.acts_again("once", "locked").await;
    case.acts_again("in_sqlite", "unlocked").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acts_while_a_person_locks_the_table() {
    let server = Postgres::start(&[]);
    let brief = format!("{}?options=-c%20lock_timeout%3D300", server.url());
    let store = Arc::new(PostgresStore::connect(&brief).await.unwrap());
    store.setup(TABLE).await.unwrap();
    let case = Case::new(store, "in_postgres").await;
    let (person, connection) =
        operator_runtime::tokio_postgres::connect(&server.url(), operator_runtime::tokio_postgres::NoTls)
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    for mode in ["ACCESS EXCLUSIVE", "SHARE"] {
        let lock = format!("BEGIN; LOCK TABLE operator_audit IN {mode} MODE");
        person.batch_execute(&lock).await.unwrap();
        for endpoint in ["once", "again", "in_postgres"] {
            case.nothing_acts(endpoint, &format!("{endpoint}-{}", mode.len())).await;
        }
        person.batch_execute("ROLLBACK").await.unwrap();
        for endpoint in ["once", "again", "in_postgres"] {
            case.acts_again(endpoint, &format!("{endpoint}-{}", mode.len())).await;
        }
    }
    drop(person);
    connection.await.unwrap().unwrap();
}

/// A row that cannot be added, after the handler has acted: a transaction is rolled back, and an effect elsewhere is never
/// answered as done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_effect_without_its_row_is_undone_or_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("operator.db")).unwrap());
    store.setup(|connection| connection.execute_batch(TABLE)).unwrap();
    let case = Case::new(store.clone(), "in_sqlite").await;
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON operator_audit BEGIN SELECT RAISE(ABORT, 'no row'); END";
    store.setup(move |connection| connection.execute_batch(refuse)).unwrap();
    for (endpoint, kind) in [
        ("in_sqlite", "undone"),
        ("once", "outcome-not-recorded"),
        ("again", "outcome-not-recorded"),
    ] {
        let answer = case
            .call(endpoint, &format!("refused-{endpoint}"), &json!({ "ends": "200" }))
            .await;
        let found = answer.body["type"].as_str().unwrap_or_default().to_owned();
        assert!(answer.status == 503 && found.ends_with(kind), "{endpoint}: {answer:?}");
    }
    let effects = || async {
        let counting = store
            .reader()
            .read(|connection| connection.query_row("SELECT count(*) FROM effect", (), |row| row.get::<_, i64>(0)));
        counting.await.unwrap()
    };
    assert_eq!(effects().await, 0);
    store
        .setup(|connection| connection.execute_batch("DROP TRIGGER refuse"))
        .unwrap();
    case.acts_again("in_sqlite", "refused-in_sqlite").await;
    assert_eq!(effects().await, 1);
}

#[tokio::test]
async fn a_store_without_an_audit_refuses_the_setting() {
    let app = |store: Arc<dyn Store>| {
        let config = Config::new().audit(DAY);
        App::new()
            .config(config)
            .only(endpoints![flaky])
            .state(Tries::default())
            .store(store)
    };
    let error = Client::new(app(Arc::new(MemoryStore::new()))).await.unwrap_err();
    let problem = error.problems().next().unwrap();
    assert_eq!(problem.setting(), Some(SettingName::Method("Config::audit")));
    assert!(problem.to_string().contains("keeps no audit"), "{problem}");
    let redis = tests::services::Redis::start(&[]);
    let store = operator_runtime::store::RedisStore::connect(&redis.url())
        .await
        .unwrap();
    let error = Client::new(app(Arc::new(store))).await.unwrap_err().to_string();
    assert!(
        error.contains("`Config::audit` is set, but the store, ") && error.contains("postgres://"),
        "{error}"
    );
    for wrong in [Duration::ZERO, DAY * 36_501] {
        let config = Config::new().audit(wrong);
        let app = App::new()
            .config(config)
            .only(endpoints![flaky])
            .state(Tries::default());
        let error = Client::new(app).await.unwrap_err().to_string();
        assert!(error.contains("`Config::audit` is"), "{error}");
    }
}
