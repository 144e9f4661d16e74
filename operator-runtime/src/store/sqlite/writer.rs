//! The writer thread: it runs all waiting jobs in one transaction, and answers them after the commit.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use rusqlite::ErrorCode;
use tokio::sync::oneshot;

use super::Sqlite;
use super::checkpoints::Checkpoints;
use super::guard::Guard;
use super::job::{Commit, Failure, Job};
use super::records::Records;
use super::sql::Sql;
use super::writing::Writing;
use crate::clock::Clock;
use crate::store::StoreError;
use crate::transaction::Tx;

/// The largest number of jobs that share a commit.
const BATCH: usize = 256;
/// A transaction that has fewer jobs than the last commit waits for further jobs, but at most for this fraction (one in
/// `PATIENCE`) of the last commit's duration.
const PATIENCE: u32 = 4;
/// The shortest and the longest time for which a transaction accepts further jobs. Between these bounds, it is the
/// duration of the last commit. The time is bounded because the first job waits for all later jobs, whose handlers may
/// be slow. Fast jobs reach `BATCH` sooner.
const OPEN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));

pub(super) type Sender = mpsc::Sender<Box<dyn Job>>;

pub(super) struct Writer {
    name: Arc<str>,
    tx: Tx<Sqlite>,
    records: Records,
    guard: Guard,
    sql: Sql,
    clock: Arc<dyn Clock>,
    jobs: mpsc::Receiver<Box<dyn Job>>,
    checkpoints: Checkpoints,
    last: Commits,
    /// The limit of jobs in the next transaction. It becomes 1 after a job made its transaction fail, so that this job
    /// cannot make the same other jobs fail again and again. Then it doubles with each commit.
    most: usize,
}

/// The last commit. Each commit costs one flush to the disk, however many jobs share it. The callers of the last commit
/// are likely to send their next jobs at once, so the next transaction waits a little for as many jobs.
#[derive(Debug, Clone, Copy, Default)]
struct Commits {
    shared_by: usize,
    took: Duration,
}

impl Writer {
    pub(super) fn spawn(
        name: &Arc<str>,
        tx: Tx<Sqlite>,
        records: Records,
        guard: Guard,
        checkpoints: Checkpoints,
        clock: Arc<dyn Clock>,
    ) -> Result<(Sender, oneshot::Receiver<()>), StoreError> {
        let (sender, jobs) = mpsc::channel();
        let (stopping, stopped) = oneshot::channel();
        let writer = Self {
            name: name.clone(),
            tx,
            records,
            guard,
            sql: Sql::new()
                .map_err(|source| StoreError::unavailable(name, "get a random number for its statements", source))?,
            clock,
            jobs,
            checkpoints,
            last: Commits::default(),
            most: BATCH,
        };
        std::thread::Builder::new()
            .name("operator-sqlite".to_owned())
            .spawn(move || {
                writer.run();
                let _ = stopping.send(());
            })
            .map_err(|source| StoreError::unavailable(name, "start its writer thread", source))?;
        Ok((sender, stopped))
    }

    fn run(mut self) {
        while let Ok(first) = self.jobs.recv() {
            self.batch(first);
            self.checkpoints.committed(self.tx.connection.total_changes());
        }
    }

    /// Runs one transaction and answers its jobs. If one job makes the transaction fail, the other jobs run again
    /// without it.
    fn batch(&mut self, first: Box<dyn Job>) {
        if let Err(failure) = self.begin() {
            // All are taken before the first is answered, so that a job that arrives meanwhile is tried: the lock may be gone
            // by then.
            let waiting: Vec<_> = std::iter::once(first).chain(self.jobs.try_iter().take(BATCH)).collect();
            answer(waiting, &Err(failure));
            return;
        }
        let mut jobs = self.take_in(first);
        let last_lost_it = self.guard.is_rolled_back();
        let begun = self.clock.monotonic();
        let commit = self.commit();
        self.last = Commits {
            shared_by: jobs.len(),
            took: self.clock.monotonic().saturating_sub(begun),
        };
        match commit {
            Err(Refused::ForOneJob(error)) if jobs.len() > 1 => {
                self.most = 1;
                let culprit = if last_lost_it { jobs.pop() } else { None };
                let commit = self.again(&mut jobs);
                answer(jobs, &commit);
                answer(culprit, &Err(error.into()));
            }
            Err(Refused::ForOneJob(error)) => answer(jobs, &Err(error.into())),
            Err(Refused::ForAll(failure)) => answer(jobs, &Err(failure)),
            Ok(()) => {
                self.most = (self.most * 2).min(BATCH);
                answer(jobs, &Ok(()));
            }
        }
    }

    /// Runs jobs until none is waiting, the transaction has been open for long enough, or a job has caused a rollback.
    fn take_in(&mut self, first: Box<dyn Job>) -> Vec<Box<dyn Job>> {
        let opened = self.clock.monotonic();
        let mut jobs = Vec::new();
        let mut waits_until = None;
        let mut next = Some(first);
        while let Some(mut job) = next {
            job.run(&mut self.writing());
            jobs.push(job);
            if self.guard.is_rolled_back() {
                break;
            }
            next = self.next(jobs.len(), opened, &mut waits_until);
        }
        jobs
    }

    /// Returns the next job for a transaction that has `count` jobs: a waiting job, or a job that arrives soon.
    fn next(&self, count: usize, opened: Duration, waits_until: &mut Option<Duration>) -> Option<Box<dyn Job>> {
        let now = self.clock.monotonic();
        let is_open_for = now.saturating_sub(opened);
        if count >= self.most || is_open_for >= self.last.took.clamp(OPEN.0, OPEN.1) {
            return None;
        }
        if let Ok(job) = self.jobs.try_recv() {
            return Some(job);
        }
        if count >= self.last.shared_by {
            return None;
        }
        let until = *waits_until.get_or_insert(now + self.last.took / PATIENCE);
        self.jobs.recv_timeout(until.checked_sub(now)?).ok()
    }

    /// Runs the jobs again in a new transaction after another job made the first transaction fail. Only writes of
    /// records run again here, which is safe because they compare before they swap. A handler's job fails instead, and
    /// its caller sends a new job.
    fn again(&mut self, jobs: &mut [Box<dyn Job>]) -> Commit {
        self.begin()?;
        for job in jobs {
            job.run(&mut self.writing());
        }
        self.commit().map_err(Failure::from)
    }

    fn writing(&mut self) -> Writing<'_> {
        Writing {
            tx: &mut self.tx,
            records: &mut self.records,
            guard: &self.guard,
            sql: &self.sql,
            name: &self.name,
            limit: Duration::MAX,
        }
    }

    fn begin(&self) -> Result<(), Failure> {
        self.guard.transaction_begins();
        let begun = self.sql.begin(&self.tx.connection);
        begun.map_err(|source| StoreError::unavailable(&self.name, "begin a transaction", source).into())
    }

    fn commit(&mut self) -> Result<(), Refused> {
        let connection = &self.tx.connection;
        let roll_back = || {
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
        };
        if self.guard.is_rolled_back() {
            // A handler may have started another transaction with its own savepoint.
            roll_back();
            return Err(Refused::ForOneJob(StoreError::TransactionEnded));
        }
        let committed = self.guard.commit(|| self.sql.commit(connection));
        committed.map_err(|source| {
            let code = source.sqlite_error_code();
            roll_back();
            let error = StoreError::unavailable(&self.name, "commit", source);
            match code {
                // A handler's SQL violated a constraint that is checked only at the commit.
                Some(ErrorCode::ConstraintViolation) => Refused::ForOneJob(error),
                // After a failed write to the disk, the commit may still be complete when the file is opened again.
                code => Refused::ForAll(Failure {
                    error,
                    unknown: code == Some(ErrorCode::SystemIoFailure),
                }),
            }
        })
    }
}

/// Why a transaction was not committed.
enum Refused {
    /// The SQL of one job made the commit fail.
    ForOneJob(StoreError),
    /// The commit failed for a reason that concerns all jobs.
    ForAll(Failure),
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::ForOneJob(error) => error.into(),
            Refused::ForAll(failure) => failure,
        }
    }
}

fn answer(jobs: impl IntoIterator<Item = Box<dyn Job>>, commit: &Commit) {
    for job in jobs {
        job.answer(commit.clone());
    }
}
