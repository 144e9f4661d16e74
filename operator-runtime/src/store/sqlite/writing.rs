//! The writer's open transaction, as jobs see it: each in a savepoint of its own, and its handler's effects in another.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::Sqlite;
use super::guard::Guard;
use super::records::Records;
use super::sql::{Savepoint, Sql};
use crate::store::{FirstSeen, OperationId, Record, Revision, Step, StoreError, Swap, Transaction, Verdict};
use crate::transaction::Tx;

/// The open transaction, as jobs see it.
pub(super) struct Writing<'w> {
    pub(super) tx: &'w mut Tx<Sqlite>,
    pub(super) records: &'w mut Records,
    pub(super) guard: &'w Guard,
    pub(super) sql: &'w Sql,
    pub(super) name: &'w str,
    /// How long a handler's statements may take.
    pub(super) limit: Duration,
}

impl Writing<'_> {
    /// Runs `work` in a savepoint: its failure or panic undoes its own writes and no other job's.
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
        // SQLite rolls back where there is no room, and why is more than that it did.
        full.map_or_else(|| done?, Err)
    }

    /// As [`isolated`](Self::isolated), where the work says how it is to end, and its handler's statements are
    /// interrupted when `limit` has passed since it began.
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

    /// Why a job that can be done once only is not done.
    pub(super) fn undone(&self) -> StoreError {
        let cause = "the SQL of another handler made the transaction fail that the two shared";
        StoreError::Interrupted {
            store: self.name.to_owned(),
            source: Arc::new(std::io::Error::other(cause)),
        }
    }

    pub(super) fn panicked(&self) -> StoreError {
        let source = std::io::Error::other("it panicked");
        StoreError::unavailable(self.name, "finish what it was asked", source)
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

    /// A transaction that is lost has no savepoints left, and that is what to say.
    fn told(&self, done: rusqlite::Result<()>) -> Result<(), StoreError> {
        done.map_err(
            |source| match StoreError::unavailable(self.name, "keep operations apart", source) {
                full @ StoreError::Full { .. } => full,
                _ if self.guard.is_rolled_back() => StoreError::TransactionEnded,
                error => error,
            },
        )
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
