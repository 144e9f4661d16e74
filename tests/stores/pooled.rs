//! PgBouncer in front of Postgres: in session mode the settings of sessions apply, and transaction mode is refused.

use operator_runtime::store::{PostgresStore, contract};
use operator_runtime::tokio_postgres::error::SqlState;
use tests::pooler::PgBouncer;
use tests::services::Postgres as Server;

use crate::{Gate, client, connect, ledger, run_sql};

#[tokio::test]
async fn sessions_of_a_pooler_in_session_mode_have_all_guards() {
    let server = Server::start(&[]);
    let pooler = PgBouncer::start(&server, &[("pool_mode", "session")]);
    let store = connect(&pooler.url()).await;
    contract::check(&store, async |by| tokio::time::sleep(by).await).await;
    let session = store.reader().session().await.unwrap();
    for (setting, value) in [
        ("lock_timeout", "10s"),
        ("statement_timeout", "30s"),
        ("default_transaction_read_only", "on"),
        ("idle_in_transaction_session_timeout", "65s"),
    ] {
        let row = session.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), value, "{setting}");
    }
    let error = session
        .batch_execute("DELETE FROM operator_operations")
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    drop(session);
    let client = client(&pooler.url(), &Gate::closed()).await;
    assert_eq!(run_sql(&client, "key", "SELECT 1", true).await.status, 200);
    // The handler's SQL commits early. The session is then read-only, so its next write fails.
    assert_eq!(run_sql(&client, "ends", "COMMIT", false).await.status, 500);
    assert_eq!(ledger(&server.url()).await, ["before", "after"]);
}

#[tokio::test]
async fn options_of_the_address_hold_behind_a_pooler() {
    let server = Server::start(&[]);
    let pooler = PgBouncer::start(&server, &[("pool_mode", "session")]);
    let store = connect(&format!("{}?options=-c%20lock_timeout%3D1234", pooler.url())).await;
    let session = store.reader().session().await.unwrap();
    let row = session.query_one("SHOW lock_timeout", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "1234ms");
}

#[tokio::test]
async fn a_pooler_that_changes_sessions_between_transactions_is_refused_at_the_start() {
    let server = Server::start(&[]);
    for mode in ["transaction", "statement"] {
        for ignored in ["", "options"] {
            let settings = [("pool_mode", mode), ("ignore_startup_parameters", ignored)];
            let pooler = PgBouncer::start(&server, &settings);
            let said = PostgresStore::connect(&pooler.url()).await.unwrap_err().to_string();
            assert!(said.contains("set `pool_mode=session`"), "{mode}: {said}");
        }
    }
}
