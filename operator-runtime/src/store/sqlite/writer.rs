//! The one thread that writes: all waiting jobs in one transaction, each answered after its commit.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use rusqlite::ErrorCode;
use tokio::sync::oneshot;

use super::Sqlite;
use super::guard::Guard;
use super::job::{Commit, Failure, Job};
use super::records::Records;
use super::sql::Sql;
use super::writing::Writing;
use crate::clock::Clock;
use crate::store::StoreError;
use crate::transaction::Tx;

/// How many jobs share a commit at most.
const BATCH: usize = 256;
/// What part of a commit's time the next one waits at most for as many jobs as shared the last.
const PATIENCE: u32 = 4;
/// For how long a transaction takes jobs in: for as long as a commit takes, within these bounds. The first waits for all
/// that follow, and their handlers may be slow; those that are not fill a batch sooner.
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
    last: Commits,
    /// How many jobs share the next commit at most: one after a transaction that was lost to one of its jobs, so that
    /// none is lost to the same neighbour for ever; then twice as many each time.
    most: usize,
}

/// The last commit: those whom it has answered are likely to ask again at once, and each commit costs a flush to the
/// disk, however many share it.
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
            most: BATCH,
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

    /// One transaction and its answers. Where one job has made it fail for the others, they are done again without it.
    fn batch(&mut self, first: Box<dyn Job>) {
        if let Err(failure) = self.begin() {
            let waiting = self.jobs.try_iter().take(BATCH);
            answer(std::iter::once(first).chain(waiting), &Err(failure));
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

    /// Runs jobs until none is left, the transaction has been open for long enough, or one has lost it.
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

    /// The next job of a transaction that holds `count`: one that is there, or one that is likely to come soon.
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

    /// Does in a transaction of their own what was undone for another job's sake: writes of records, which compare
    /// before they swap. No handler runs again here.
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
        begun.map_err(|source| StoreError::unavailable(&self.name, "begin to write", source).into())
    }

    fn commit(&mut self) -> Result<(), Refused> {
        let connection = &self.tx.connection;
        let roll_back = || {
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
        };
        if self.guard.is_rolled_back() {
            // A handler may have begun another one with a savepoint of its own.
            roll_back();
            return Err(Refused::ForOneJob(StoreError::TransactionEnded));
        }
        let committed = self.guard.commit(|| self.sql.commit(connection));
        committed.map_err(|source| {
            let code = source.sqlite_error_code();
            roll_back();
            let error = StoreError::unavailable(&self.name, "commit", source);
            match code {
                // One that a handler's SQL has put off until now.
                Some(ErrorCode::ConstraintViolation) => Refused::ForOneJob(error),
                // A write that failed half way may be found whole when the file is next opened.
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
    /// The SQL of one of its jobs has made it fail.
    ForOneJob(StoreError),
    /// None could have been.
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
