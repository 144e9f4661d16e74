//! The primary changes: calls reach the new primary without a restart of the program.

use std::time::{Duration, Instant};

use operator_runtime::store::{PostgresStore, Swap};
use operator_runtime::testing::Client;
use operator_runtime::tokio_postgres::{self, NoTls};
use tests::moving::MovingAddress;
use tests::services::Postgres as Server;
use tokio::task::JoinSet;

use crate::{Gate, claim, client, connect, ledger, run_sql};

/// How soon after a promotion a call must be answered.
const SOON: Duration = Duration::from_secs(15);

/// One address with several hosts.
fn url_of(servers: &[&Server]) -> String {
    let hosts: Vec<String> = servers
        .iter()
        .map(|server| format!("127.0.0.1:{}", server.port))
        .collect();
    format!("postgres://operator@{}/postgres", hosts.join(","))
}

/// Repeats the call until the answer is 200. Returns how long that took.
async fn until_answered(client: &Client, key: &str) -> Duration {
    let begun = Instant::now();
    loop {
        let answer = run_sql(client, key, "SELECT 1", true).await;
        if answer.status == 200 {
            return begun.elapsed();
        }
        assert!([409, 503].contains(&answer.status.as_u16()), "{answer:?}");
        assert!(begun.elapsed() < 4 * SOON, "{key} is never answered: {answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_address_that_asks_for_a_server_which_takes_writes_is_answered_by_that_server() {
    let primary = Server::start(&[]);
    let standby = primary.standby();
    let url = format!("{}?target_session_attrs=read-write", url_of(&[&standby, &primary]));
    let client = client(&url, &Gate::closed()).await;
    let answer = run_sql(&client, "key", "SELECT 1", true).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(ledger(&url).await, ["before", "after"]);
}

#[tokio::test]
async fn a_standby_alone_is_refused_with_a_sentence_that_says_so() {
    let primary = Server::start(&[]);
    let standby = primary.standby();
    for wanted in ["", "?target_session_attrs=any", "?target_session_attrs=primary"] {
        let url = format!("{}{wanted}", standby.url());
        let said = PostgresStore::connect(&url).await.unwrap_err().to_string();
        assert!(said.contains("accepts no writes"), "{said}");
        assert!(said.contains("the primary"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_reach_the_promoted_server_although_the_old_primary_is_back_as_a_standby() {
    let mut first = Server::start(&[]);
    let second = first.standby();
    let client = client(&url_of(&[&first, &second]), &Gate::closed()).await;
    until_answered(&client, "before").await;
    until_copied(&first).await;
    first.kill();
    first.restart_as_a_standby();
    second.promote();
    let took = until_answered(&client, "after").await;
    assert!(took < SOON, "{took:?}");
    // Later calls also succeed.
    for call in 0..20 {
        let answer = run_sql(&client, &format!("later-{call}"), "SELECT 1", true).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_reach_the_promoted_server_although_the_old_primary_is_frozen() {
    let first = Server::start(&[]);
    let second = first.standby();
    let url = url_of(&[&first, &second]);
    let client = client(&url, &Gate::closed()).await;
    let store = connect(&url).await;
    // Sessions of every kind are open when the server stops answering.
    until_answered(&client, "before").await;
    assert!(matches!(claim(&store, "before").await.unwrap(), Swap::Swapped(_)));
    drop(store.reader().session().await.unwrap());
    until_copied(&first).await;
    let frozen = first.freeze();
    second.promote();
    let promoted = Instant::now();
    let (answered, claimed, read) = tokio::join!(
        until_answered(&client, "after"),
        until_claimed(&store),
        until_read(&store)
    );
    for took in [answered, claimed, read] {
        assert!(took < SOON, "{took:?}");
    }
    assert!(promoted.elapsed() < SOON);
    drop(frozen);
}

/// Waits until a standby has everything that the server has committed.
async fn until_copied(server: &Server) {
    let (admin, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let copied = "SELECT count(*) FROM pg_stat_replication WHERE flush_lsn >= pg_current_wal_flush_lsn()";
    let begun = Instant::now();
    while admin.query_one(copied, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(begun.elapsed() < SOON, "the standby does not follow");
    }
}

/// Returns once SQL that contains `pg_sleep` runs on the server.
pub(crate) async fn until_it_sleeps(server: &Server, statements: i64) {
    let (admin, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    let begun = Instant::now();
    while admin.query_one(sleeping, &[]).await.unwrap().get::<_, i64>(0) < statements {
        assert!(begun.elapsed() < SOON, "the SQL does not run");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_a_frozen_server_has_taken_is_answered_by_the_server_that_gets_its_address() {
    let first = Server::start(&[]);
    let second = first.standby();
    let address = MovingAddress::to(first.port);
    let url = format!("postgres://operator@127.0.0.1:{}/postgres", address.port);
    let client = client(&url, &Gate::closed()).await;
    until_answered(&client, "before").await;
    until_copied(&first).await;
    // Again, because a session that has just been used is not tested before the next call uses it.
    until_answered(&client, "before").await;
    let frozen = first.freeze();
    let under_way = tokio::spawn(async move { until_answered(&client, "under-way").await });
    second.promote();
    address.move_to(second.port);
    let promoted = Instant::now();
    under_way.await.unwrap();
    assert!(promoted.elapsed() < SOON, "{:?}", promoted.elapsed());
    drop(frozen);
    assert_eq!(ledger(&second.url()).await, ["before", "after", "before", "after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_own_sql_a_frozen_server_runs_is_answered_by_the_promoted_server() {
    let first = Server::start(&[]);
    let second = first.standby();
    let client = client(&url_of(&[&first, &second]), &Gate::closed()).await;
    // Only the first server sleeps.
    let sql = format!("SELECT pg_sleep(20) WHERE inet_server_port() = {}", first.port);
    let calling = tokio::spawn(async move { run_sql(&client, "key", &sql, true).await });
    until_it_sleeps(&first, 1).await;
    until_copied(&first).await;
    let frozen = first.freeze();
    second.promote();
    let promoted = Instant::now();
    let answer = calling.await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(promoted.elapsed() < SOON, "{:?}", promoted.elapsed());
    drop(frozen);
    assert_eq!(ledger(&second.url()).await, ["before", "after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_a_frozen_server_runs_ends() {
    let first = Server::start(&[]);
    let store = connect(&first.url()).await;
    let session = store.reader().session().await.unwrap();
    let reading = tokio::spawn(async move { session.batch_execute("SELECT pg_sleep(20)").await });
    until_it_sleeps(&first, 1).await;
    let frozen = first.freeze();
    let begun = Instant::now();
    let error = tokio::time::timeout(SOON, reading).await.unwrap().unwrap().unwrap_err();
    assert!(error.is_closed(), "{error}");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    drop(frozen);
}

/// New connections reach a standby, as behind a pooler or a load balancer, or a server that has nothing to do with the
/// first one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_statement_goes_on_although_the_address_leads_to_a_server_that_has_not_replaced_its_own() {
    let first = Server::start(&[]);
    let (standby, unrelated) = (first.standby(), Server::start(&[]));
    let mut calls = JoinSet::new();
    let mut addresses = Vec::new();
    for other in [first.port, standby.port, unrelated.port] {
        let address = MovingAddress::to(first.port);
        let url = format!("postgres://operator@127.0.0.1:{}/postgres", address.port);
        let client = client(&url, &Gate::closed()).await;
        let slow = async move { run_sql(&client, &other.to_string(), "SELECT pg_sleep(20)", true).await };
        calls.spawn(async move { (other, slow.await) });
        addresses.push((address, other));
    }
    until_it_sleeps(&first, 3).await;
    for (address, other) in &addresses {
        address.move_to(*other);
    }
    for (other, answer) in calls.join_all().await {
        assert_eq!(answer.status, 200, "{other}: {answer:?}");
    }
    assert_eq!(ledger(&first.url()).await.len(), 6, "no call ran twice");
}

/// Tries to claim, with a new key each time, until a claim succeeds. Returns how long that took.
async fn until_claimed(store: &PostgresStore) -> Duration {
    let begun = Instant::now();
    for number in 0.. {
        if claim(store, &format!("after-{number}")).await.is_ok() {
            break;
        }
        assert!(begun.elapsed() < 4 * SOON, "no claim is made");
    }
    begun.elapsed()
}

/// Reads until a read is answered; returns how long that took.
async fn until_read(store: &PostgresStore) -> Duration {
    let begun = Instant::now();
    loop {
        if let Ok(session) = store.reader().session().await
            && let Ok(Ok(_)) = tokio::time::timeout(SOON, session.query_one("SELECT 1", &[])).await
        {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < 4 * SOON, "no read is answered");
    }
}

#[tokio::test]
async fn a_session_that_turns_out_to_be_read_only_is_replaced_in_the_same_call() {
    let first = Server::start(&[]);
    let second = first.standby();
    let store = connect(&url_of(&[&first, &second])).await;
    assert!(matches!(claim(&store, "before").await.unwrap(), Swap::Swapped(_)));
    until_copied(&first).await;
    second.promote();
    make_read_only(&first).await;
    assert!(matches!(claim(&store, "after").await.unwrap(), Swap::Swapped(_)));
}

/// Makes a server refuse writes without closing its sessions, and waits until it does.
async fn make_read_only(server: &Server) {
    let (admin, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "ALTER SYSTEM SET default_transaction_read_only = on";
    admin.batch_execute(sql).await.unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let begun = Instant::now();
    let setting = || admin.query_one("SHOW transaction_read_only", &[]);
    while setting().await.unwrap().get::<_, &str>(0) != "on" {
        assert!(begun.elapsed() < SOON, "the setting has no effect");
    }
}
