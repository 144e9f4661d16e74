//! If Postgres aborts a transaction because of another transaction, the call runs again. This is safe, because the
//! aborted transaction has recorded and answered nothing.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use operator_runtime::tokio_postgres::NoTls;
use operator_runtime::{Error, Postgres, Tx, operator_api};
use serde_json::json;
use tests::services::Postgres as Server;
use tokio::sync::Barrier;

use crate::{Gate, client, connect};

/// Counts how often handlers have run. The first two runs wait for each other.
pub(crate) struct Runs {
    begun: AtomicU32,
    both_hold_one: Barrier,
}

impl Default for Runs {
    fn default() -> Self {
        Self {
            begun: AtomicU32::new(0),
            both_hold_one: Barrier::new(2),
        }
    }
}

impl Runs {
    fn begin(&self) -> u32 {
        self.begun.fetch_add(1, Ordering::SeqCst) + 1
    }

    async fn meet(&self, run: u32) {
        if run <= 2 {
            self.both_hold_one.wait().await;
        }
    }
}

/// Moves a cent. Two opposite moves at the same time block each other.
#[operator_api(POST, "/transfer")]
pub(crate) async fn transfer(
    tx: &mut Tx<Postgres>,
    runs: &Runs,
    /// The account that gives the cent.
    from: String,
    /// The account that gets the cent.
    to: String,
) -> Result<u32, Error> {
    let run = runs.begin();
    let update = "UPDATE account SET cents = cents + $1 WHERE name = $2";
    tx.execute(update, &[&-1_i64, &from]).await?;
    runs.meet(run).await;
    tx.execute(update, &[&1_i64, &to]).await?;
    Ok(run)
}

/// Takes the sum of both accounts out of one account. Two simultaneous calls read the same sum, but only one of them
/// may take it.
#[operator_api(POST, "/withdraw")]
pub(crate) async fn withdraw(
    tx: &mut Tx<Postgres>,
    runs: &Runs,
    /// The account to take from.
    from: String,
) -> Result<u32, Error> {
    let run = runs.begin();
    let both = tx.query_one("SELECT sum(cents)::bigint FROM account", &[]).await?;
    let both: i64 = both.try_get(0)?;
    runs.meet(run).await;
    if both <= 0 {
        return Err(Error::conflict("Nothing is left."));
    }
    let update = "UPDATE account SET cents = cents - $1 WHERE name = $2";
    tx.execute(update, &[&both, &from]).await?;
    Ok(run)
}

/// Takes a cent, with a time limit of five seconds.
#[operator_api(POST, "/take", timeout = "5s")]
pub(crate) async fn take(
    tx: &mut Tx<Postgres>,
    gate: &Gate,
    /// The account to take from.
    from: String,
) -> Result<String, Error> {
    gate.started.add_permits(1);
    let update = "UPDATE account SET cents = cents - 1 WHERE name = $1";
    tx.execute(update, &[&from]).await?;
    Ok("taken".to_owned())
}

/// A connection with an open transaction that locks an account's row. Dropping the connection unlocks the row.
async fn hold(url: &str, name: &str) -> operator_runtime::tokio_postgres::Client {
    let (client, connection) = operator_runtime::tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let lock = format!("BEGIN; SELECT 1 FROM account WHERE name = '{name}' FOR UPDATE");
    client.batch_execute(&lock).await.unwrap();
    client
}

/// The server's address with a lock timeout so short that it expires several times within the time limit.
fn impatient(server: &Server) -> String {
    format!("{}?options=-c%20lock_timeout=100", server.url())
}

async fn number(url: &str, sql: &str) -> i64 {
    let store = connect(url).await;
    let session = store.reader().session().await.unwrap();
    session.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_transactions_that_wait_for_each_other_both_succeed() {
    let server = Server::start(&[("deadlock_timeout", "50ms")]);
    let client = client(&server.url(), &Gate::closed()).await;
    let (one, other) = (json!({ "from": "a", "to": "b" }), json!({ "from": "b", "to": "a" }));
    let (one, other) = tokio::join!(client.call("transfer", &one), client.call("transfer", &other));
    assert_eq!(
        (one.status.as_u16(), other.status.as_u16()),
        (200, 200),
        "{one:?} {other:?}"
    );
    let last = one.body.as_u64().max(other.body.as_u64());
    // The number of runs can be larger than three, because the repeated run may be faster than the run that waits for
    // its row.
    assert!(last >= Some(3), "one of the calls ran twice: {last:?}");
    let unchanged = "SELECT count(*) FILTER (WHERE cents = 100) FROM account";
    assert_eq!(
        number(&server.url(), unchanged).await,
        2,
        "each account has given one cent and received one"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_unserializable_transactions_one_runs_again_and_sees_the_other() {
    let server = Server::start(&[]);
    let url = format!(
        "{}?options=-c%20default_transaction_isolation=serializable",
        server.url()
    );
    let client = client(&url, &Gate::closed()).await;
    let (one, other) = (json!({ "from": "a" }), json!({ "from": "b" }));
    let (one, other) = tokio::join!(client.call("withdraw", &one), client.call("withdraw", &other));
    let statuses = [one.status.min(other.status), one.status.max(other.status)];
    assert_eq!(statuses, [200, 409], "{one:?} {other:?}");
    assert_eq!(number(&server.url(), "SELECT sum(cents)::bigint FROM account").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_another_transaction_locks_is_waited_for_again() {
    let server = Server::start(&[]);
    let gate = Gate::closed();
    let client = client(&impatient(&server), &gate).await;
    let holder = hold(&server.url(), "a").await;
    let call = tokio::spawn(async move { client.call("take", &json!({ "from": "a" })).await });
    // The second run begins after the first run has waited for the lock until the timeout.
    let two_runs = tokio::time::timeout(Duration::from_secs(20), gate.started.acquire_many(2)).await;
    two_runs.expect("the call runs again").unwrap().forget();
    holder.batch_execute("COMMIT").await.unwrap();
    let answer = call.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.replayed), (200, false), "{answer:?}");
    let cents = "SELECT cents FROM account WHERE name = 'a'";
    assert_eq!(number(&server.url(), cents).await, 99, "one cent was taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_locked_until_the_time_limit_is_a_503_without_a_record() {
    let server = Server::start(&[]);
    let gate = Gate::closed();
    let client = client(&impatient(&server), &gate).await.with_idempotency_key("same");
    let holder = hold(&server.url(), "a").await;
    let input = json!({ "from": "a" });
    let answer = tokio::time::timeout(Duration::from_secs(20), client.call("take", &input)).await;
    let answer = answer.expect("the call ends");
    assert_eq!(
        (answer.status.as_u16(), answer.retry_after.is_some()),
        (503, true),
        "{answer:?}"
    );
    assert_eq!(answer.body["type"], "urn:operator:problem:timed-out", "{answer:?}");
    let runs = gate.started.available_permits();
    assert!(runs > 1, "the call ran again within its time limit: {runs}");
    holder.batch_execute("COMMIT").await.unwrap();
    let again = client.call("take", &input).await;
    assert_eq!((again.status.as_u16(), again.replayed), (200, false), "{again:?}");
    let cents = "SELECT cents FROM account WHERE name = 'a'";
    assert_eq!(number(&server.url(), cents).await, 99, "one cent was taken");
}
