//! The query of docs/operating.md on the table of the audit.

use operator_runtime::rusqlite;
use operator_runtime::store::{PostgresStore, SqliteStore};
use tests::services::Postgres;

/// The query of docs/operating.md, and what that page says to write on SQLite instead.
fn documented_query() -> (String, String) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, query) = page.split_once("```sql\n").unwrap();
    let (query, rest) = query.split_once("```").unwrap();
    assert!(!rest.contains("```sql"), "another query has no test");
    let words = rest.split_once("On SQLite, write `").unwrap().1;
    let (new, words) = words.split_once("` instead of `").unwrap();
    let (old, _) = words.split_once('`').unwrap();
    assert!(query.contains(old), "{old}");
    (query.to_owned(), query.replace(old, new))
}

/// Rows of which the query finds only the first.
const REFUNDS: &str = r#"INSERT INTO operator_audit
    (ended, operation, idempotency_key, tenant, endpoint, inputs, outcome, attempts) VALUES
    ('2026-01-31T09:30:00.250Z', 'o', 'k', 'first', 'refund_order', '{"amount_cents":5001,"order_id":1004}', 'done', 1),
    ('2026-01-31T09:30:00.250Z', 'o', 'k', 'small', 'refund_order', '{"amount_cents":5000}', 'done', 1),
    ('2026-01-31T09:30:00.250Z', 'o', 'k', 'declined', 'refund_order', '{"amount_cents":5001}', 'declined', 1),
    ('2026-02-01T09:30:00.250Z', 'o', 'k', 'later', 'refund_order', '{"amount_cents":5001}', 'done', 1),
    ('2026-01-31T09:30:00.250Z', 'o', 'k', 'other', 'cancel_order', '{}', 'done', 1),
    ('2026-01-31T09:30:00.250Z', 'o', 'k', 'unread', 'refund_order', NULL, 'done', 1)"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_query_finds_its_rows_on_postgres() {
    let server = Postgres::start(&[]);
    let store = PostgresStore::connect(&server.url()).await.unwrap();
    store.setup(REFUNDS).await.unwrap();
    let session = store.reader().session().await.unwrap();
    let rows = session.query(&documented_query().0, &[]).await.unwrap();
    let tenants: Vec<&str> = rows.iter().map(|row| row.get("tenant")).collect();
    assert_eq!(tenants, ["first"]);
    let order = "SELECT inputs::json ->> 'order_id' FROM operator_audit WHERE tenant = 'first'";
    assert_eq!(session.query_one(order, &[]).await.unwrap().get::<_, &str>(0), "1004");
}

#[tokio::test]
async fn the_documented_query_finds_its_rows_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("operator.db");
    let _store = SqliteStore::open(&path).unwrap();
    let person = rusqlite::Connection::open(&path).unwrap();
    person.execute_batch(REFUNDS).unwrap();
    let mut query = person.prepare(&documented_query().1).unwrap();
    let tenants = query.query_map([], |row| row.get::<_, String>("tenant")).unwrap();
    assert_eq!(tenants.collect::<Result<Vec<_>, _>>().unwrap(), ["first"]);
    let order = "SELECT inputs ->> 'order_id' FROM operator_audit WHERE tenant = 'first'";
    let order = person.query_row(order, [], |row| row.get::<_, i64>(0));
    assert_eq!(order.unwrap(), 1004);
}
