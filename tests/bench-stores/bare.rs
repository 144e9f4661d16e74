//! What the framework's costs are compared with: the speed of the disk, and the same SQL or the same Redis script in a
//! loop.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use operator_runtime::rusqlite::Connection;
use operator_runtime::store::BoxFuture;
use operator_runtime::tokio_postgres::{self, Client, NoTls, Statement};

use super::workers::{Worker, completed, id_unlike_any_other, in_progress};

const INSERT: &str = "INSERT INTO operator_operations (id, revision, written, first_seen, record)
    VALUES ($1, 1, clock_timestamp(), clock_timestamp(), $2) ON CONFLICT DO NOTHING";
const UPDATE: &str = "UPDATE operator_operations SET revision = 2, written = clock_timestamp(), record = $2
    WHERE id = $1 AND revision = 1";

pub(crate) fn fdatasync() -> f64 {
    let mut file = tempfile::tempfile().unwrap();
    let started = Instant::now();
    let mut done = 0;
    while started.elapsed() < Duration::from_secs(2) {
        file.write_all(&[0; 4096]).unwrap();
        file.sync_data().unwrap();
        done += 1;
    }
    f64::from(done) / started.elapsed().as_secs_f64()
}

/// One SQLite connection. It commits the work of many callers together, in one commit or in two.
pub(crate) struct InSqlite {
    connection: Connection,
    transactional: bool,
}

impl InSqlite {
    pub(crate) fn open(path: &Path, synchronous: &str, transactional: bool) -> Self {
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.pragma_update(None, "synchronous", synchronous).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE IF NOT EXISTS op (id BLOB NOT NULL UNIQUE, revision INTEGER NOT NULL, written INTEGER NOT NULL,
                     first_seen INTEGER NOT NULL, record BLOB NOT NULL) STRICT;
                 CREATE INDEX IF NOT EXISTS op_first_seen ON op (first_seen); CREATE TABLE IF NOT EXISTS ledger (cents INTEGER NOT NULL)",
            )
            .unwrap();
        Self {
            connection,
            transactional,
        }
    }

    pub(crate) fn carry_out(&self, batch: usize) {
        let ids: Vec<_> = (0..batch).map(|_| id_unlike_any_other()).collect();
        self.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        ids.iter().for_each(|id| self.claim(id));
        if self.transactional {
            ids.iter().for_each(|_| self.book());
        } else {
            self.connection.execute_batch("COMMIT; BEGIN IMMEDIATE").unwrap();
        }
        ids.iter().for_each(|id| self.complete(id));
        self.connection.execute_batch("COMMIT").unwrap();
    }

    fn claim(&self, id: &[u8; 32]) {
        let insert = "INSERT INTO op VALUES (?1, 1, 1, 1, ?2) ON CONFLICT DO NOTHING";
        let mut insert = self.connection.prepare_cached(insert).unwrap();
        insert.execute((id, in_progress().encode())).unwrap();
    }

    fn book(&self) {
        self.connection
            .prepare_cached(super::BOOK)
            .unwrap()
            .execute(())
            .unwrap();
    }

    fn complete(&self, id: &[u8; 32]) {
        let update = "UPDATE op SET revision = 2, written = 2, record = ?2 WHERE id = ?1 AND revision = 1";
        let mut update = self.connection.prepare_cached(update).unwrap();
        update.execute((id, completed().encode())).unwrap();
    }
}

/// A connection to Postgres with prepared statements.
pub(crate) struct InPostgres {
    client: Client,
    insert: Statement,
    update: Statement,
    book: Statement,
    transactional: bool,
}

impl InPostgres {
    pub(crate) async fn connect(url: &str, transactional: bool) -> Self {
        let (client, driving) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(driving);
        Self {
            insert: client.prepare(INSERT).await.unwrap(),
            update: client.prepare(UPDATE).await.unwrap(),
            book: client.prepare(super::BOOK).await.unwrap(),
            client,
            transactional,
        }
    }

    /// Executes each statement in a round trip of its own.
    pub(crate) async fn carry_out(&self) {
        let Self {
            client, transactional, ..
        } = self;
        let id = id_unlike_any_other();
        let id = id.as_slice();
        if *transactional {
            client.batch_execute("BEGIN").await.unwrap();
        }
        client
            .execute(&self.insert, &[&id, &in_progress().encode()])
            .await
            .unwrap();
        if *transactional {
            client.batch_execute("SAVEPOINT handler").await.unwrap();
            client.execute(&self.book, &[]).await.unwrap();
        }
        client
            .execute(&self.update, &[&id, &completed().encode()])
            .await
            .unwrap();
        if *transactional {
            client.batch_execute("COMMIT").await.unwrap();
        }
    }
}

impl Worker for InPostgres {
    fn once(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.carry_out())
    }
}
