//! The SQLite store: records in one file, next to the program's own tables; durable, for one machine.

mod audit;
mod checkpoints;
mod connection;
mod guard;
mod job;
mod limits;
mod reader;
mod records;
mod schema;
mod sql;
#[cfg(test)]
mod tests;
mod ticks;
mod writer;
mod writing;

use std::any::{Any, TypeId};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use self::checkpoints::Checkpoints;
use self::job::{Asked, Failure, once};
use self::records::Records;
use self::ticks::Ticks;
use self::writer::Writer;
use self::writing::Writing;
use super::{
    AuditLog, BoxFuture, Counts, Cursor, Ended, Limits, OperationId, Page, Proposal, Provided, Step, Store, StoreError,
    Swap, Transactions, Verdict, Work,
};
use crate::clock::{Clock, SystemClock};
use crate::transaction::{Database, Reader, Tx, sealed};

pub use self::reader::ReadError;
pub(super) use self::reader::is_out_of_reach;

/// SQLite, as in `Tx<Sqlite>` and `Reader<Sqlite>`.
#[derive(Debug, Clone, Copy)]
pub enum Sqlite {}

impl sealed::Sealed for Sqlite {}

impl Database for Sqlite {
    type Connection = Connection;
    type Pool = reader::Pool;
}

/// Which failures an answered call's record survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// A crash or power loss of the machine: `synchronous=FULL`.
    PowerLoss,
    /// A crash of the process only: `synchronous=NORMAL`, which saves a flush to the disk for each commit.
    ProcessCrash,
}

/// A store of records in one SQLite file.
///
/// One thread writes. It runs all waiting operations in one transaction, each in a savepoint of its own, and answers
/// them after the commit. A handler that takes `&mut Tx<Sqlite>` runs on that thread, inside that transaction: while
/// the handler waits for something slow, all other writes wait too. The `timeout` of the endpoint ends this waiting,
/// and interrupts the SQL statement that the handler is running.
///
/// If a handler's SQL ends the transaction (as `INSERT OR ROLLBACK` does) or makes its commit fail (as a violated
/// deferred foreign key does), the other records in that transaction are written again, and the other handlers in it
/// run again, within their time limits.
#[derive(Debug)]
pub struct SqliteStore {
    name: Arc<str>,
    jobs: Mutex<Option<writer::Sender>>,
    stopped: Mutex<Option<oneshot::Receiver<()>>>,
    reader: Arc<Reader<Sqlite>>,
    ticks: Ticks,
}

impl SqliteStore {
    /// Opens the file at `path`. A missing file is created, with access for its owner only.
    ///
    /// # Errors
    /// If the file cannot be opened, is not a SQLite database, or was upgraded by a newer version of this crate.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path, Durability::PowerLoss, Arc::new(SystemClock::new()))
    }

    /// Like [`open`](Self::open), with a chosen durability and clock.
    ///
    /// # Errors
    /// The same errors as [`open`](Self::open).
    pub fn open_with(
        path: impl AsRef<Path>,
        durability: Durability,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let name: Arc<str> = format!("SQLite file {}", path.display()).into();
        let mut connection = connection::open(path, durability, &name)?;
        schema::upgrade(&connection, &name)?;
        let opening = |source| StoreError::unavailable(&name, "be opened", source);
        let ticks = Ticks::start(clock.clone(), &mut connection).map_err(opening)?;
        let guard = guard::install(&mut connection, clock.clone()).map_err(opening)?;
        let records = Records::new(name.clone(), ticks.clone())?;
        let checkpoints = Checkpoints::spawn(path, durability, &name)?;
        let (jobs, stopped) = Writer::spawn(&name, Tx { connection }, records, guard, checkpoints, clock)?;
        let reader = Arc::new(Reader {
            pool: reader::Pool::new(path),
        });
        Ok(Self {
            name,
            jobs: Mutex::new(Some(jobs)),
            stopped: Mutex::new(Some(stopped)),
            reader,
            ticks,
        })
    }

    /// Runs `work` on the writing connection in a transaction, for example to create the program's own tables in this
    /// file. It blocks the thread, so call it before the program serves calls.
    ///
    /// Every process that opens the file runs the set-up, one process after the other, so write
    /// `CREATE TABLE IF NOT EXISTS`. Names that begin with `operator_` are reserved for this crate.
    ///
    /// # Errors
    /// If `work` fails or panics, or the store cannot write; then no change of `work` is kept.
    pub fn setup<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let name = self.name.clone();
        let (reply, answer) = std::sync::mpsc::channel();
        self.send(
            once(move |writing| {
                writing.isolated(|writing| {
                    writing.guard.handler_begins(Duration::MAX);
                    work(&writing.tx.connection)
                        .map_err(|source| StoreError::unavailable(&name, "run the program's set-up", source))
                })
            }),
            move |result| drop(reply.send(result)),
        )?;
        match answer.recv() {
            Ok(result) => result.map_err(|failure| failure.error),
            Err(_) => Err(self.closed()),
        }
    }

    /// Reads this file outside the writer's transactions.
    #[must_use]
    pub fn reader(&self) -> &Reader<Sqlite> {
        &self.reader
    }

    fn send<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Writing<'_>) -> Result<T, StoreError> + Send + 'static,
        reply: impl FnOnce(Result<T, Failure>) + Send + 'static,
    ) -> Result<(), StoreError> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = jobs.as_ref().map(|jobs| jobs.send(Box::new(Asked::new(work, reply))));
        if let Some(Ok(())) = sent {
            Ok(())
        } else {
            Err(self.closed())
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Writing<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(work, move |result| drop(reply.send(result)))?;
        // A writer that ended without an answer may have committed.
        answer.await.unwrap_or_else(|_| {
            Err(Failure {
                error: self.closed(),
                unknown: true,
            })
        })
    }

    fn closed(&self) -> StoreError {
        StoreError::Closed {
            store: self.name.to_string(),
        }
    }
}

impl Store for SqliteStore {
    fn swap(&self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>> {
        Step::Later(Box::pin(async move {
            let swapping = self.ask(move |writing| writing.swap(&proposal));
            swapping.await.map_err(|failure| failure.error)
        }))
    }

    fn sweep(&self, older_than: Duration, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(async move {
            let sweeping = self.ask(move |writing| writing.records.sweep(&writing.tx.connection, older_than, limit));
            sweeping.await.map_err(|failure| failure.error)
        })
    }

    fn list(
        &self,
        ids: RangeInclusive<OperationId>,
        after: Option<Cursor>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(async move {
            let listing = self.ask(move |writing| {
                writing
                    .records
                    .list(&writing.tx.connection, &ids, after.as_ref(), limit)
            });
            listing.await.map_err(|failure| failure.error)
        })
    }

    /// Reads on a reading connection, because the writer may be busy with a handler's transaction.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let reading = self.reader.read(records::touch).await;
            reading.map_err(|source| StoreError::unavailable(&self.name, "answer", source))
        })
    }

    /// Counts on a reading connection, so that the writer does not wait.
    fn count(&self, lease: Duration) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Box::pin(async move {
            let lost_before = self.ticks.now().saturating_sub(ticks::milliseconds(lease));
            let counting = self
                .reader
                .read(move |connection| records::count(connection, lost_before))
                .await;
            counting.map_err(|source| StoreError::unavailable(&self.name, "count its records", source))
        })
    }

    fn limits(&self) -> Option<&dyn Limits> {
        Some(self)
    }

    fn built_in(&self) -> Option<&(dyn Any + Send + Sync)> {
        Some(self)
    }

    fn describe(&self) -> String {
        self.name.to_string()
    }

    fn provides(&self) -> Provided {
        let reader: Arc<dyn Any + Send + Sync> = self.reader.clone();
        vec![(TypeId::of::<Reader<Sqlite>>(), reader)]
    }

    fn transactions(&self) -> Option<&dyn Transactions> {
        Some(self)
    }

    fn audit(&self) -> Option<&dyn AuditLog> {
        Some(self)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // The readers are closed before the writer's connection. The last connection that closes moves the
            // write-ahead log into the file, and a read-only connection cannot do that.
            self.reader.pool.close();
            drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
            let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(stopped) = stopped {
                let _ = stopped.await;
            }
        })
    }
}

impl Transactions for SqliteStore {
    fn handle_type(&self) -> TypeId {
        TypeId::of::<Tx<Sqlite>>()
    }

    fn transact(&self, limit: Duration, work: Work) -> BoxFuture<'_, Ended> {
        Box::pin(async move {
            let runtime = Handle::current();
            let work = move |writing: &mut Writing<'_>| {
                writing.isolated_by_verdict(limit, |writing| runtime.block_on(work(writing)))
            };
            match self.ask(once(work)).await {
                Ok(Verdict::Commit) => Ended::Committed,
                Ok(Verdict::RollBack) => Ended::RolledBack,
                Err(Failure { error, unknown: false }) => Ended::Failed(error),
                Err(Failure { error, unknown: true }) => Ended::CommitUnknown(error),
            }
        })
    }
}
