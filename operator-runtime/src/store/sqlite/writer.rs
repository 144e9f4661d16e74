//! The one thread that writes: all waiting jobs in one transaction, each answered after its commit.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use rusqlite::ErrorCode;
use tokio::sync::oneshot;

use super::Sqlite;
use super::guard::Guard;
use super::records::Records;
use super::sql::{Savepoint, Sql};
use crate::clock::Clock;
use crate::store::{FirstSeen, OperationId, Record, Revision, Step, StoreError, Swap, Transaction, Verdict};
use crate::transaction::Tx;

/// How many jobs share a commit at most.
const BATCH: usize = 256;
/// What part of a commit's time the next one waits at most for as many jobs as shared the last.
const PATIENCE: u32 = 4;

/// Why a job is not, or may not be, kept.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) error: StoreError,
    /// The commit may have happened all the same.
    pub(super) unknown: bool,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, unknown: false }
    }
}

pub(super) type Sender = mpsc::Sender<Job>;
type Commit = Result<(), Failure>;
type Answer = Box<dyn FnOnce(Commit)>;

/// Runs in the transaction, or is refused because there is none; its answer waits for the commit.
pub(super) type Job = Box<dyn FnOnce(Result<&mut Writing<'_>, Failure>) -> Answer + Send>;

pub(super) fn job<T: Send + 'static>(
    name: Arc<str>,
    work: impl FnOnce(&mut Writing<'_>) -> Result<T, StoreError> + Send + 'static,
    reply: impl FnOnce(Result<T, Failure>) + Send + 'static,
) -> Job {
    Box::new(move |writing| {
        let result = writing.and_then(|writing| {
            let caught = catch_unwind(AssertUnwindSafe(|| work(writing)));
            let panicked =
                || StoreError::unavailable(&name, "finish what it was asked", std::io::Error::other("it panicked"));
            Ok(caught.unwrap_or_else(|_| Err(panicked()))?)
        });
        Box::new(move |commit| reply(result.and_then(|value| commit.map(|()| value))))
    })
}

pub(super) struct Writer {
    name: Arc<str>,
    tx: Tx<Sqlite>,
    records: Records,
    guard: Guard,
    sql: Sql,
    clock: Arc<dyn Clock>,
    jobs: mpsc::Receiver<Job>,
    last: Commits,
}

/// The last commit: those whom it has answered are likely to ask again at once, and each commit costs a flush to the
/// disk, however many share it.
#[derive(Debug, Clone, Copy, Default)]
struct Commits {
    shared_by: usize,
    took: Duration,
}

/// The open transaction, as jobs see it.
pub(super) struct Writing<'w> {
    pub(super) tx: &'w mut Tx<Sqlite>,
    pub(super) records: &'w mut Records,
    pub(super) guard: &'w Guard,
    sql: &'w Sql,
    name: &'w str,
}

impl Writer {
    pub(super) fn spawn(
        name: &Arc<str>,
        tx: Tx<Sqlite>,
        records: Records,
        guard: Guard,
        clock: Arc<dyn Clock>,
    ) -> Result<(Sender, oneshot::Receiver<()>), StoreError> {
        let (sender, jobs) = mpsc::channel();
        let (stopping, stopped) = oneshot::channel();
        let writer = Self {
            name: name.clone(),
            tx,
            records,
            guard,
            sql: Sql::new().map_err(|source| StoreError::unavailable(name, "start its writer", source))?,
            clock,
            jobs,
            last: Commits::default(),
        };
        std::thread::Builder::new()
            .name("operator-sqlite".to_owned())
            .spawn(move || {
                writer.run();
                let _ = stopping.send(());
            })
            .map_err(|source| StoreError::unavailable(name, "start its writer", source))?;
        Ok((sender, stopped))
    }

    fn run(mut self) {
        while let Ok(first) = self.jobs.recv() {
            self.batch(first);
        }
    }

    /// One transaction: until no job is left, or one has lost it for those before it.
    fn batch(&mut self, first: Job) {
        if let Err(source) = self.sql.begin(&self.tx.connection) {
            let failure = Failure::from(StoreError::unavailable(&self.name, "begin to write", source));
            for job in std::iter::once(first).chain(self.jobs.try_iter().take(BATCH)) {
                job(Err(failure.clone()))(Ok(()));
            }
            return;
        }
        let mut answers = Vec::new();
        let mut waits_until = None;
        let mut next = Some(first);
        while let Some(job) = next {
            let mut writing = Writing {
                tx: &mut self.tx,
                records: &mut self.records,
                guard: &self.guard,
                sql: &self.sql,
                name: &self.name,
            };
            answers.push(job(Ok(&mut writing)));
            if self.tx.connection.is_autocommit() {
                break;
            }
            next = self.next(answers.len(), &mut waits_until);
        }
        let begun = self.clock.monotonic();
        let commit = self.commit();
        self.last = Commits {
            shared_by: answers.len(),
            took: self.clock.monotonic().saturating_sub(begun),
        };
        for answer in answers {
            answer(commit.clone());
        }
    }

    /// The next job of a transaction that holds `count`: one that is there, or one that is likely to come soon.
    fn next(&self, count: usize, waits_until: &mut Option<Duration>) -> Option<Job> {
        if count >= BATCH {
            return None;
        }
        if let Ok(job) = self.jobs.try_recv() {
            return Some(job);
        }
        if count >= self.last.shared_by {
            return None;
        }
        let now = self.clock.monotonic();
        let until = *waits_until.get_or_insert(now + self.last.took / PATIENCE);
        self.jobs.recv_timeout(until.checked_sub(now)?).ok()
    }

    fn commit(&mut self) -> Commit {
        let connection = &self.tx.connection;
        if connection.is_autocommit() {
            return Err(StoreError::TransactionEnded.into());
        }
        let committed = self.guard.commit(|| self.sql.commit(connection));
        committed.map_err(|source| {
            // A write that failed half way may be found whole when the file is next opened.
            let unknown = matches!(source.sqlite_error_code(), Some(ErrorCode::SystemIoFailure));
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
            Failure {
                error: StoreError::unavailable(&self.name, "commit", source),
                unknown,
            }
        })
    }
}

impl Writing<'_> {
    /// Runs `work` in a savepoint: its failure or panic undoes its own writes and no other job's.
    pub(super) fn isolated<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.in_savepoint(work, Result::is_ok)?
    }

    /// As [`isolated`](Self::isolated), where the work says how it is to end.
    pub(super) fn isolated_by_verdict(
        &mut self,
        work: impl FnOnce(&mut Self) -> Verdict,
    ) -> Result<Verdict, StoreError> {
        self.in_savepoint(work, |verdict| *verdict == Verdict::Commit)
    }

    fn in_savepoint<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> T,
        keep: impl FnOnce(&T) -> bool,
    ) -> Result<T, StoreError> {
        self.begin(Savepoint::Job)?;
        let result = catch_unwind(AssertUnwindSafe(|| work(self)));
        self.guard.set_handler_runs(false);
        if self.tx.connection.is_autocommit() {
            return Err(StoreError::TransactionEnded);
        }
        if result.as_ref().is_ok_and(keep) {
            self.release(Savepoint::Job)?;
        } else {
            self.roll_back(Savepoint::Job)?;
        }
        result.map_err(|_| {
            StoreError::unavailable(
                self.name,
                "finish what it was asked",
                std::io::Error::other("it panicked"),
            )
        })
    }

    fn begin(&self, savepoint: Savepoint) -> Result<(), StoreError> {
        self.told(self.sql.savepoint(&self.tx.connection, savepoint))
    }

    fn release(&self, savepoint: Savepoint) -> Result<(), StoreError> {
        self.told(self.sql.release(&self.tx.connection, savepoint))
    }

    fn roll_back(&self, savepoint: Savepoint) -> Result<(), StoreError> {
        self.told(self.sql.roll_back(&self.tx.connection, savepoint))
    }

    fn told(&self, done: rusqlite::Result<()>) -> Result<(), StoreError> {
        done.map_err(|source| StoreError::unavailable(self.name, "keep operations apart", source))
    }
}

impl Transaction for Writing<'_> {
    fn swap(
        &mut self,
        id: OperationId,
        expected: Option<Revision>,
        new: Arc<Record>,
        first_seen: FirstSeen,
    ) -> Step<'_, Result<Swap, StoreError>> {
        Step::Now(self.records.swap(&self.tx.connection, id, expected, &new, first_seen))
    }

    fn savepoint(&mut self) -> Step<'_, Result<(), StoreError>> {
        let begun = self.begin(Savepoint::Handler);
        self.guard.set_handler_runs(begun.is_ok());
        Step::Now(begun)
    }

    fn roll_back_savepoint(&mut self) -> Step<'_, Result<(), StoreError>> {
        self.guard.set_handler_runs(false);
        Step::Now(self.roll_back(Savepoint::Handler))
    }

    fn release_savepoint(&mut self) -> Step<'_, Result<(), StoreError>> {
        self.guard.set_handler_runs(false);
        Step::Now(self.release(Savepoint::Handler))
    }

    fn handle(&mut self) -> &mut (dyn Any + Send) {
        self.tx
    }
}
