//! A role that may read and write rows but change no tables, and tables in a schema of their own.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use operator_runtime::http::StatusCode;
use operator_runtime::store::{
    Audit, Fingerprint, FirstSeen, OperationId, Origin, PostgresStore, Proposal, Record, Response, State, Store,
    StoreError, Swap, contract,
};
use operator_runtime::testing::Client;
use operator_runtime::tokio_postgres::{self, NoTls};
use operator_runtime::{App, endpoints, operator_api};
use tests::process::build_into;
use tests::services::Postgres as Server;

use crate::{claim, connect};

/// Runs SQL as the owner of everything.
async fn as_owner(server: &Server, sql: &str) {
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
}

fn as_clerk(server: &Server, options: &str) -> String {
    format!("{}{options}", server.url().replace("operator@", "clerk@"))
}

#[tokio::test]
async fn a_role_that_may_only_read_and_write_rows_can_serve_where_the_tables_are_current() {
    let server = Server::start(&[]);
    as_owner(&server, "CREATE ROLE clerk LOGIN").await;
    let refusal = async || PostgresStore::connect(&as_clerk(&server, "")).await.unwrap_err();
    let behind = refusal().await;
    assert!(matches!(behind, StoreError::NotReady { .. }), "{behind}");
    assert!(behind.to_string().contains("run `migrate`"), "{behind}");

    connect(&server.url()).await.close().await;
    let unread = refusal().await.to_string();
    assert!(
        unread.contains("refuses SELECT on the table operator_schema"),
        "{unread}"
    );
    let rights = "GRANT SELECT ON operator_schema TO clerk; GRANT SELECT, INSERT ON operator_operations TO clerk;
        GRANT SELECT, INSERT, UPDATE, DELETE ON operator_limits TO clerk";
    as_owner(&server, rights).await;
    let unwritten = refusal().await.to_string();
    assert!(
        unwritten.contains("refuses UPDATE, DELETE on the table operator_operations"),
        "{unwritten}"
    );
    as_owner(&server, "GRANT UPDATE, DELETE ON operator_operations TO clerk").await;
    let without_limits = refusal().await.to_string();
    assert!(
        without_limits.contains("refuses SELECT, INSERT, UPDATE, DELETE on the table operator_reservations"),
        "{without_limits}"
    );
    let rights = "GRANT SELECT, INSERT, UPDATE, DELETE ON operator_reservations TO clerk;
        GRANT SELECT, INSERT, DELETE ON operator_audit TO clerk";
    as_owner(&server, rights).await;
    let store = connect(&as_clerk(&server, "")).await;
    contract::check(&store, async |by| tokio::time::sleep(by).await).await;
}

#[tokio::test]
async fn the_tables_are_in_the_schema_that_the_address_names() {
    let server = Server::start(&[]);
    let url = format!("{}?schema=Own%20%22things%22", server.url());
    let store = connect(&url).await;
    contract::check(&store, async |by| tokio::time::sleep(by).await).await;
    let session = store.reader().session().await.unwrap();
    let tables = "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename LIKE 'operator%'";
    let schemas: Vec<String> = session
        .query(tables, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(schemas, ["Own \"things\""]);
    // A second start uses the same tables. A start without `schema` creates new ones.
    assert!(matches!(claim(&store, "1").await.unwrap(), Swap::Swapped(_)));
    assert!(matches!(
        claim(&connect(&url).await, "1").await.unwrap(),
        Swap::Held { .. }
    ));
    assert!(matches!(
        claim(&connect(&server.url()).await, "1").await.unwrap(),
        Swap::Swapped(_)
    ));
}

/// Runs `migrate` of the example `billing`.
fn migrate(program: &Path, store: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .arg("migrate")
        .args(arguments)
        .env("OPERATOR_STORE", store)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrate_makes_the_tables_or_prints_the_sql_that_does() {
    let folder = tempfile::tempdir().unwrap();
    let program = build_into(folder.path(), "billing");
    let server = Server::start(&[]);
    as_owner(&server, "CREATE ROLE clerk LOGIN").await;
    let refused = migrate(&program, &as_clerk(&server, ""), &[]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && said.contains("the output of `migrate --print`"),
        "{said}"
    );

    let printed = migrate(&program, &as_clerk(&server, "?schema=ops"), &["--print"]);
    let sql = String::from_utf8(printed.stdout).unwrap();
    let (_, end) = sql.split_once("-- The role that `serve` connects with").unwrap();
    assert!(end.lines().skip(1).all(|line| line.starts_with("-- GRANT")), "{end}");
    // Run twice: the second run must change nothing.
    for _ in 0..2 {
        as_owner(&server, &sql).await;
    }
    let granted = sql.replace("-- GRANT", "GRANT").replace("the_role", "clerk");
    as_owner(&server, &granted).await;
    let store = connect(&as_clerk(&server, "?schema=ops")).await;
    assert!(matches!(claim(&store, "1").await.unwrap(), Swap::Swapped(_)));
    as_owner(&server, "SELECT count(*) FROM ledger").await;
    // What the administrator has run lets the program start as a role that may not change tables.
    let served = Command::new(&program)
        .arg("operations")
        .arg("list")
        .env("OPERATOR_STORE", as_clerk(&server, "?schema=ops"))
        .output()
        .unwrap();
    assert!(served.status.success(), "{served:?}");
    let setup = include_str!("../../examples/billing/src/tables.sql");
    start(&as_clerk(&server, "?schema=ops"), setup).await.unwrap();

    let made = migrate(&program, &server.url(), &[]);
    let said = String::from_utf8(made.stdout).unwrap();
    assert!(
        said.starts_with("The tables of Postgres at ") && said.ends_with(" are up to date.\n"),
        "{said}"
    );
    as_owner(&server, "SELECT count(*) FROM operator_operations").await;
    let other = migrate(&program, "sqlite:operator.db", &["--print"]);
    let said = String::from_utf8(other.stderr).unwrap();
    assert!(
        !other.status.success() && said.contains("set OPERATOR_STORE to the address of one"),
        "{said}"
    );
}

/// Starts an app with a set-up of its own tables.
async fn start(url: &str, setup: &'static str) -> Result<(), String> {
    let store = connect(url).await;
    let app = App::new().only(endpoints![noted]).store(store).postgres_setup(setup);
    Client::new(app).await.map(drop).map_err(|error| error.to_string())
}

/// The notes.
#[operator_api(GET, "/noted")]
async fn noted() -> u32 {
    0
}

/// A set-up that shows how often it has run.
const NOTES: &str = "CREATE TABLE IF NOT EXISTS notes (note text); INSERT INTO notes VALUES ('set up')";

async fn notes(server: &Server) -> i64 {
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let counted = client.query_one("SELECT count(*) FROM notes", &[]).await.unwrap();
    counted.get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_programs_set_up_runs_when_its_text_changes_and_needs_no_rights_otherwise() {
    let server = Server::start(&[]);
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let url = server.url();
        starting.spawn(async move { start(&url, NOTES).await });
    }
    for started in starting.join_all().await {
        started.unwrap();
    }
    assert_eq!(notes(&server).await, 1, "one of the four has run it");
    start(&server.url(), NOTES).await.unwrap();
    assert_eq!(notes(&server).await, 1, "the text has not changed");

    let rights = "CREATE ROLE clerk LOGIN; GRANT SELECT ON operator_schema TO clerk;
        GRANT SELECT, INSERT, UPDATE, DELETE ON operator_operations, operator_limits, operator_reservations TO clerk";
    as_owner(&server, rights).await;
    let clerk = as_clerk(&server, "");
    start(&clerk, NOTES).await.unwrap();
    let changed = "CREATE TABLE IF NOT EXISTS notes (note text); CREATE TABLE more (note text)";
    let refused = start(&clerk, changed).await.unwrap_err();
    assert!(
        refused.contains("may not run it") && refused.contains("run `migrate`"),
        "{refused}"
    );
    start(&server.url(), changed).await.unwrap();
    // Both texts have run, so programs of both versions start during a rolling upgrade.
    for text in [NOTES, changed] {
        start(&clerk, text).await.unwrap();
    }
    assert_eq!(notes(&server).await, 1);
    // A set-up that fails has not run.
    let wrong = "CREATE TABLE half (a int); nonsense";
    for _ in 0..2 {
        let refused = start(&server.url(), wrong).await.unwrap_err();
        assert!(refused.contains("nonsense"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_the_first_version_are_upgraded() {
    let server = Server::start(&[]);
    start(&server.url(), NOTES).await.unwrap();
    as_owner(&server, "DROP TABLE IF EXISTS operator_audit; DROP TABLE operator_limits, operator_reservations; ALTER TABLE operator_schema DROP COLUMN setup; DELETE FROM operator_schema; INSERT INTO operator_schema VALUES (1); ALTER TABLE operator_operations RESET (fillfactor)").await;
    for _ in 0..2 {
        start(&server.url(), NOTES).await.unwrap();
        assert_eq!(notes(&server).await, 2);
    }
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    for (table, set) in [
        ("operator_operations", "fillfactor=90"),
        ("operator_operations", "autovacuum_vacuum_scale_factor=0.01"),
        ("operator_reservations", "autovacuum_vacuum_scale_factor=0.01"),
        ("operator_limits", "fillfactor=50"),
        ("operator_limits", "autovacuum_vacuum_scale_factor=0.01"),
    ] {
        let options = format!("SELECT reloptions::text FROM pg_class WHERE oid = '{table}'::regclass");
        let options: String = client.query_one(&options, &[]).await.unwrap().get(0);
        assert!(options.contains(set), "{table}: {options}");
    }
}

#[tokio::test]
async fn a_completion_finds_room_beside_its_claim_and_changes_no_index() {
    const OPERATIONS: i64 = 2_000;
    let server = Server::start(&[]);
    let store = connect(&server.url()).await;
    for key in 0..OPERATIONS {
        let key = key.to_string();
        let Ok(Swap::Swapped(revision)) = claim(&store, &key).await else {
            panic!("nobody else claims {key}")
        };
        let mut completed = Record::first(Fingerprint::new("POST", "/", "", b""), Origin::default());
        completed.state = State::Completed(Response::new(StatusCode::OK, "text/plain", vec![b'a'; 300].into()));
        let completion = Proposal {
            id: OperationId::new("tenant", &key),
            expected: Some(revision),
            new: Arc::new(completed),
            first_seen: FirstSeen::Keep,
            audit: Audit::Nothing,
        };
        let written = store.swap(completion).wait().await;
        assert!(matches!(written, Ok(Swap::Swapped(_))), "{written:?}");
    }
    // Postgres counts what a connection has done when the connection ends, at the latest.
    store.close().await;
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let counted = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'operator_operations'";
    let without_indexes = loop {
        let row = client.query_one(counted, &[]).await.unwrap();
        if row.get::<_, i64>(0) == OPERATIONS {
            break row.get::<_, i64>(1);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(
        without_indexes >= OPERATIONS * 99 / 100,
        "{without_indexes} of {OPERATIONS} completions changed no index"
    );
}
