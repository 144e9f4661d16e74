//! The writer's open transaction, as jobs see it: each job runs in a savepoint of its own, and its handler in an inner
//! savepoint.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::Sqlite;
use super::guard::Guard;
use super::records::Records;
use super::sql::{Savepoint, Sql};
use crate::store::{AuditRow, Proposal, Reservation, Reserved, Step, StoreError, Swap, Transaction, Verdict};
use crate::transaction::Tx;

/// The open transaction, as jobs see it.
pub(super) struct Writing<'w> {
    pub(super) tx: &'w mut Tx<Sqlite>,
    pub(super) records: &'w mut Records,
    pub(super) guard: &'w Guard,
    pub(super) sql: &'w Sql,
    pub(super) name: &'w str,
    /// The time limit for a handler's statements.
    pub(super) limit: Duration,
}

impl Writing<'_> {
    /// Runs `work` in a savepoint, so that an error or panic undoes only the writes of this job.
    pub(super) fn isolated<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut full = None;
        let work = |writing: &mut Self| {
            let done = work(writing);
            full = done
                .as_ref()
                .err()
                .filter(|error| matches!(error, StoreError::Full { .. }))
                .cloned();
            done
        };
        let done = self.in_savepoint(work, Result::is_ok);
        // A full disk makes SQLite roll back. Then the error `Full` says more than the error of the rollback.
        full.map_or_else(|| done?, Err)
    }

    /// Writes a record. A row of the audit that cannot be added undoes the write.
    pub(super) fn swap(&mut self, proposal: &Proposal) -> Result<Swap, StoreError> {
        let swap = |writing: &mut Self| writing.records.swap(&writing.tx.connection, proposal);
        match proposal.audit.row() {
            None => swap(self),
            Some(_) => self.isolated(swap),
        }
    }

    /// Adds a row to the audit.
    pub(super) fn add_to_audit(&mut self, row: &AuditRow) -> Result<(), StoreError> {
        self.isolated(|writing| writing.records.audit(&writing.tx.connection, row))
    }

    /// Like [`isolated`](Self::isolated), but the work returns a verdict, and the handler's statements are interrupted
    /// once `limit` has passed since the handler began.
    pub(super) fn isolated_by_verdict(
        &mut self,
        limit: Duration,
        work: impl FnOnce(&mut Self) -> Verdict,
    ) -> Result<Verdict, StoreError> {
        self.limit = limit;
        self.in_savepoint(work, |verdict| *verdict == Verdict::Commit)
    }

    fn in_savepoint<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> T,
        keep: impl FnOnce(&T) -> bool,
    ) -> Result<T, StoreError> {
        self.begin(Savepoint::Job)?;
        let result = catch_unwind(AssertUnwindSafe(|| work(self)));
        self.guard.handler_ended();
        if self.guard.is_rolled_back() {
            return Err(StoreError::TransactionEnded);
        }
        if result.as_ref().is_ok_and(keep) {
            self.release(Savepoint::Job)?;
        } else {
            self.roll_back(Savepoint::Job)?;
        }
        result.map_err(|_| self.panicked())
    }

    /// The error for a job that can run only once and was undone.
    pub(super) fn undone(&self) -> StoreError {
        let cause = "the SQL of another handler in the same transaction made the transaction fail";
        StoreError::Interrupted {
            store: self.name.to_owned(),
            source: Arc::new(std::io::Error::other(cause)),
        }
    }

    pub(super) fn panicked(&self) -> StoreError {
        let source = std::io::Error::other("the code panicked");
        StoreError::unavailable(self.name, "finish the work", source)
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

    /// Maps the error of a savepoint. If SQLite has rolled back, the savepoint no longer exists, and the rollback is
    /// the error to report.
    fn told(&self, done: rusqlite::Result<()>) -> Result<(), StoreError> {
        done.map_err(
            |source| match StoreError::unavailable(self.name, "set or end a savepoint", source) {
                full @ StoreError::Full { .. } => full,
                _ if self.guard.is_rolled_back() => StoreError::TransactionEnded,
                error => error,
            },
        )
    }
}

impl Transaction for Writing<'_> {
    fn swap(&mut self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>> {
        Step::Now(self.records.swap(&self.tx.connection, &proposal))
    }

    fn reserve(&mut self, asked: Reservation) -> Step<'_, Result<Reserved, StoreError>> {
        Step::Now(self.records.reserve(&self.tx.connection, &asked))
    }

    fn savepoint(&mut self) -> Step<'_, Result<(), StoreError>> {
        let begun = self.begin(Savepoint::Handler);
        if begun.is_ok() {
            self.guard.handler_begins(self.limit);
        }
        Step::Now(begun)
    }

    fn roll_back_savepoint(&mut self) -> Step<'_, Result<(), StoreError>> {
        self.guard.handler_ended();
        Step::Now(self.roll_back(Savepoint::Handler))
    }

    fn release_savepoint(&mut self) -> Step<'_, Result<(), StoreError>> {
        self.guard.handler_ended();
        Step::Now(self.release(Savepoint::Handler))
    }

    fn handle(&mut self) -> &mut (dyn Any + Send) {
        self.tx
    }
}
