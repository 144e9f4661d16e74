//! The first reservation of an operation is sent together with its claim.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use operator_runtime::store::{Holder, LimitedValue, Reservation, Store as _};
use operator_runtime::testing::Client;
use operator_runtime::tokio_postgres::{self, NoTls};
use operator_runtime::{App, Config, Error, Postgres, Settings, Tx, endpoints, operator_api};
use serde_json::{Value, json};
use tests::services::Postgres as Server;

use crate::proxy::Proxy;
use crate::{TABLES, book, connect};

/// Books an entry for an order.
#[operator_api(POST, "/free")]
async fn free(
    tx: &mut Tx<Postgres>,
    /// What the entry is for.
    order: String,
) -> Result<bool, Error> {
    book(tx, &order).await?;
    Ok(true)
}

/// Books an entry for an order, within one limit.
#[operator_api(POST, "/once")]
#[operator(limit(calls = 3, per = order, within = "24h"))]
async fn once(
    tx: &mut Tx<Postgres>,
    /// What the entry is for.
    order: String,
) -> Result<bool, Error> {
    free(tx, order).await
}

/// Books an entry for an order, within two limits.
#[operator_api(POST, "/limited")]
#[operator(limit(sum = cents, max = 100, per = order, within = "24h"))]
#[operator(limit(calls = 6, within = "24h"))]
async fn limited(
    tx: &mut Tx<Postgres>,
    /// What the entry is for.
    order: String,
    /// How much the entry is worth.
    cents: u32,
) -> Result<bool, Error> {
    free(tx, format!("{order}, {cents} cents")).await
}

async fn status(client: &Client, name: &str, inputs: Value) -> u16 {
    client.call(name, &inputs).await.status.as_u16()
}

/// On one thread, everything that a task queues before it waits is sent before the first answer arrives.
#[tokio::test]
async fn a_reservation_takes_no_round_trip() {
    let server = Server::start(&[]);
    let proxy = Proxy::to(server.port).await;
    let store = connect(&proxy.url()).await;
    store.setup(TABLES).await.unwrap();
    let app = App::new().only(endpoints![free, once]).store(store);
    let client = Client::new(app).await.unwrap();
    // The first calls prepare the statements, and a busy machine can add a check of the connection. So the fewest count.
    let mut fewest = [u32::MAX; 2];
    for order in ["a", "b", "c", "d"] {
        for (fewest, name) in fewest.iter_mut().zip(["free", "once"]) {
            let before = proxy.round_trips();
            assert_eq!(status(&client, name, json!({ "order": order })).await, 200);
            *fewest = (proxy.round_trips() - before).min(*fewest);
        }
    }
    assert!(fewest[0] > 0 && fewest[0] == fewest[1], "{fewest:?}");
}

/// A reservation that is made early is undone if another limit refuses the call, and a replay reserves nothing.
#[tokio::test]
async fn what_is_reserved_with_the_claim_counts_once_or_not_at_all() {
    let server = Server::start(&[]);
    let store = connect(&server.url()).await;
    store.setup(TABLES).await.unwrap();
    let app = App::new().only(endpoints![limited]).store(store);
    let client = Client::new(app).await.unwrap();
    let body = json!({ "order": "a", "cents": 60 });
    let first = client.with_idempotency_key("a");
    let answer = first.call("limited", &body).await;
    assert_eq!((answer.status.as_u16(), answer.replayed), (200, false), "{answer:?}");
    // A replay that reserved something would wait for these rows.
    let person = connected(&server).await;
    person
        .batch_execute("BEGIN; SELECT FROM operator_limits FOR UPDATE")
        .await
        .unwrap();
    let replay = tokio::time::timeout(Duration::from_secs(5), first.call("limited", &body))
        .await
        .unwrap();
    assert_eq!((replay.status.as_u16(), replay.replayed), (200, true), "{replay:?}");
    person.batch_execute("ROLLBACK").await.unwrap();
    let limited = |order, cents| status(&client, "limited", json!({ "order": order, "cents": cents }));
    // Over the sum, so neither limit counts it.
    for _ in 0..10 {
        assert_eq!(limited("a", 60).await, 403);
    }
    assert_eq!(limited("a", 40).await, 200);
    for order in ["b", "c", "d", "e"] {
        assert_eq!(limited(order, 100).await, 200, "{order}");
    }
    // Over the number of calls, so the sum does not count it either. Which of the two is reserved first depends on the order.
    for order in ["f", "g", "h", "i"] {
        assert_eq!(limited(order, 100).await, 403, "{order}");
    }
    let reader = connect(&server.url()).await;
    let session = reader.reader().session().await.unwrap();
    let counted =
        "SELECT (SELECT count(*) FROM operator_reservations), (SELECT sum(used)::bigint FROM operator_limits)";
    let row = session.query_one(counted, &[]).await.unwrap();
    let counted: (i64, i64) = (row.get(0), row.get(1));
    assert_eq!(counted, (12, 5 * 100 + 6), "of six calls, each in two limits");
}

/// While a person has locked the table of the limits, a new call is tried again, and a replay is answered after
/// `lock_timeout`.
#[tokio::test]
async fn a_locked_table_of_limits_makes_no_call_fail() {
    let server = Server::start(&[]);
    let store = connect(&format!("{}?options=-c%20lock_timeout=100", server.url())).await;
    store.setup(TABLES).await.unwrap();
    let app = App::new().only(endpoints![once]).store(store);
    let client = Client::new(app).await.unwrap();
    let body = json!({ "order": "a" });
    let first = client.with_idempotency_key("a");
    assert_eq!(first.call("once", &body).await.status, 200);
    let person = connected(&server).await;
    person.batch_execute("BEGIN; LOCK TABLE operator_limits").await.unwrap();
    let answer = first.call("once", &body).await;
    assert_eq!((answer.status.as_u16(), answer.replayed), (200, true), "{answer:?}");
    let new = client.with_idempotency_key("b");
    let calling = new.call("once", &body);
    let unlocking = async {
        // When the call waits for the second time, its first wait has ended without the lock.
        for expected in [true, false, true] {
            while (waiting(&person).await > 0) != expected {}
        }
        person.batch_execute("COMMIT").await.unwrap();
    };
    let both = async { tokio::join!(calling, unlocking) };
    let (answer, ()) = tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.replayed), (200, false), "{answer:?}");
}

/// Charges for an order, outside the database.
#[operator_api(POST, "/charge")]
#[operator(limit(calls = 3, per = order, within = "24h"))]
async fn charge(
    charges: &AtomicU32,
    /// What the charge is for.
    order: String,
) -> bool {
    charges.fetch_add(1, Ordering::SeqCst);
    !order.is_empty()
}

/// The same, but the wait is longer than the handler may run.
#[operator_api(POST, "/charge-briefly", timeout = "1s")]
#[operator(limit(calls = 3, per = order, within = "24h"))]
async fn charge_briefly(
    charges: &AtomicU32,
    /// What the charge is for.
    order: String,
) -> bool {
    charges.fetch_add(1, Ordering::SeqCst);
    !order.is_empty()
}

/// A person who locks the table of the limits for longer than a lease does not have to find out later what a call has
/// done, because its handler has not started.
#[tokio::test]
async fn a_call_keeps_its_lease_while_it_waits_for_its_limits() {
    let server = Server::start(&[]);
    let store = connect(&format!("{}?options=-c%20lock_timeout=4500", server.url())).await;
    let lease = Duration::from_secs(3);
    let wait = Duration::from_millis(500);
    let settings = Settings::default().lease(lease).renew_every(lease / 6).wait(wait);
    let app = App::new()
        .only(endpoints![charge, charge_briefly])
        .state(AtomicU32::new(0))
        .config(Config::new().operations(settings))
        .store(store);
    let client = Client::new(app).await.unwrap();
    let person = connected(&server).await;
    for (name, status, replayed) in [("charge", 200, true), ("charge_briefly", 409, false)] {
        let client = client.with_idempotency_key(name);
        let body = json!({ "order": name });
        person.batch_execute("BEGIN; LOCK TABLE operator_limits").await.unwrap();
        let retried = async {
            while waiting(&person).await == 0 {}
            let unlocked = tokio::time::Instant::now() + lease * 2;
            while tokio::time::Instant::now() < unlocked {
                let answer = client.call(name, &body).await;
                assert_eq!(answer.status, 409, "{answer:?}");
            }
            person.batch_execute("COMMIT").await.unwrap();
        };
        let both = async { tokio::join!(client.call(name, &body), retried) };
        let (answer, ()) = tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.replayed), (status, false), "{answer:?}");
        // The operation is released in the background, and what it has reserved is given back.
        let again = loop {
            let again = client.call(name, &body).await;
            if again.status != 409 {
                break again;
            }
        };
        assert_eq!((again.status.as_u16(), again.replayed), (200, replayed), "{again:?}");
    }
}

/// The connection of a person.
pub(crate) async fn connected(server: &Server) -> tokio_postgres::Client {
    let (person, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    person
}

/// How many wait for a lock.
pub(crate) async fn waiting(person: &tokio_postgres::Client) -> i64 {
    let waiting = person.query_one("SELECT count(*) FROM pg_locks WHERE NOT granted", &[]);
    waiting.await.unwrap().get(0)
}

/// Otherwise a sweep of a value with very many ended reservations would exceed the time limit of a statement, each time.
#[tokio::test]
async fn a_value_with_many_ended_reservations_is_swept_in_parts() {
    const WINDOW: Duration = Duration::from_secs(5);
    let server = Server::start(&[]);
    let store = connect(&server.url()).await;
    let limits = store.limits().unwrap();
    let asked = |operation: u64, window| Reservation {
        value: LimitedValue::from_bytes([1; 32]),
        holder: Holder {
            serial: NonZeroU64::new(operation).unwrap(),
            epoch: 1,
        },
        amount: 1,
        max: 100,
        window,
    };
    limits.reserve(asked(100, WINDOW * 1000)).await.unwrap();
    for operation in 1..=10 {
        limits.reserve(asked(operation, WINDOW)).await.unwrap();
    }
    let session = store.reader().session().await.unwrap();
    let state = async || {
        let rows = "SELECT count(*), (SELECT used FROM operator_limits) FROM operator_reservations";
        let row = session.query_one(rows, &[]).await.unwrap();
        (row.get::<_, i64>(0), row.get::<_, i64>(1))
    };
    assert_eq!(state().await, (11, 11));
    while limits.used(asked(1, WINDOW).value).await.unwrap() > 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for left in [7, 3] {
        assert!(limits.remove_ended(4).await.unwrap());
        assert_eq!(state().await, (left, left));
    }
    assert!(!limits.remove_ended(4).await.unwrap());
    assert_eq!(state().await, (1, 1), "one has not ended");
}

/// Otherwise the rest would stay for a minute, although only a part of the batch was in use.
#[tokio::test]
async fn a_batch_that_is_partly_in_use_does_not_end_the_sweep() {
    const WINDOW: Duration = Duration::from_secs(5);
    let server = Server::start(&[]);
    let store = connect(&server.url()).await;
    let limits = store.limits().unwrap();
    let value = |name| LimitedValue::from_bytes([name; 32]);
    for (name, operations) in [(1, 1..=2), (2, 3..=8)] {
        for operation in operations {
            let asked = Reservation {
                value: value(name),
                holder: Holder {
                    serial: NonZeroU64::new(operation).unwrap(),
                    epoch: 1,
                },
                amount: 1,
                max: 100,
                window: WINDOW,
            };
            limits.reserve(asked).await.unwrap();
        }
    }
    while limits.used(value(2)).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let person = connected(&server).await;
    let in_use = "BEGIN; SELECT FROM operator_limits WHERE value = decode(repeat('01', 32), 'hex') FOR UPDATE";
    person.batch_execute(in_use).await.unwrap();
    let mut sweeps = 0;
    while limits.remove_ended(4).await.unwrap() {
        sweeps += 1;
    }
    assert_eq!(sweeps, 3, "two of six at each sweep");
    let left = "SELECT count(*) FROM operator_reservations";
    assert_eq!(
        person.query_one(left, &[]).await.unwrap().get::<_, i64>(0),
        2,
        "only what is in use"
    );
    person.batch_execute("COMMIT").await.unwrap();
    assert!(!limits.remove_ended(4).await.unwrap());
    assert_eq!(person.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
}
