//! The store of records: one trait, which is a compare-and-swap. The idempotency rules are elsewhere, so no store can
//! break them.

use std::any::{Any, TypeId};
use std::error::Error;
use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::causes::with_causes;

pub use crate::record::operation::{Fingerprint, OperationId, Origin, ParseOperationIdError};
pub use crate::record::{Ages, AuditRow, Audited, DecodeError, FirstSeen, Record, Response, Settlement, State, Times};

#[cfg(any(feature = "postgres", feature = "redis"))]
mod address_parts;
mod audit;
pub mod contract;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod full;
mod limiting;
mod listing;
mod memory;
mod open;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod revisions;
mod shared;
#[cfg(feature = "sqlite")]
mod sqlite;
mod trial;

pub use audit::{Audit, AuditFilter, AuditLog, AuditPage};
pub use limiting::{Holder, LimitedValue, Limits, Reservation, Reserved};
#[cfg(any(feature = "cli", test))]
pub(crate) use listing::Records;
pub use listing::{Counts, Cursor, Listed, Page};
pub use memory::MemoryStore;
#[cfg(feature = "cli")]
pub(crate) use open::migration;
pub use open::open;
#[cfg(fuzzing)]
pub(crate) use open::read_address;
pub(crate) use open::{addresses, not_opened, scheme};
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, PostgresStore, Reading, Session};
#[cfg(feature = "redis")]
pub use redis::RedisStore;
#[cfg(feature = "sqlite")]
pub use sqlite::{Durability, ReadError, Sqlite, SqliteStore};
pub(crate) use trial::Trial;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A result that is ready now, or a future of the result.
///
/// With this type, a store that has the result at once need not allocate a future.
#[must_use = "a step that is not awaited may never be carried out"]
pub enum Step<'a, T> {
    /// The result is ready.
    Now(T),
    /// The work begins at the first poll. Dropping the future before its first poll changes nothing.
    Later(BoxFuture<'a, T>),
}

impl<T: Send> Step<'_, T> {
    /// Returns the result, and waits for the result if necessary.
    #[allow(clippy::manual_async_fn, reason = "an `async fn` would store the step twice")]
    pub fn wait(self) -> impl Future<Output = T> + Send {
        async move {
            match self {
                Self::Now(value) => value,
                Self::Later(future) => future.await,
            }
        }
    }
}

/// Identifies one write of a record. In the life of a store, no two writes have the same revision, even if they write
/// different operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision(pub u64);

/// The result of a compare-and-swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swap {
    /// The record is written, and has this revision.
    Swapped(Revision),
    /// Nothing is written, because the stored record has another revision than expected.
    Held {
        /// The revision to expect next time.
        revision: Revision,
        /// The stored record.
        record: Arc<Record>,
        /// The ages of the record by the store's clock.
        ages: Ages,
    },
    /// Nothing is written, because the expected record no longer exists.
    Gone,
}

/// Why a store could not carry out a request.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store has no space for the write, and nothing is written.
    #[error("{store} is full: {}; {remedy}", with_causes(&**source))]
    Full {
        /// The store, as in [`Store::describe`].
        store: String,
        /// How to make space, such as "delete other files from the disk that holds the database file".
        remedy: &'static str,
        /// The error of the driver.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The store cannot be read or written now.
    #[error("{store} could not {doing}: {}", with_causes(&**source))]
    Unavailable {
        /// The store, as in [`Store::describe`].
        store: String,
        /// What the store was asked to do, as in "could not …".
        doing: &'static str,
        /// The error of the driver.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// A write failed but may have happened: its answer was lost, or the record is less durable than requested.
    #[error("{store} could not confirm that a record was written: {}", with_causes(&**source))]
    Unconfirmed {
        /// The store.
        store: String,
        /// The revision of the record, if it was written: no other write has this revision.
        revision: Revision,
        /// The error of the driver.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// All connections of the store stayed in use until the wait for a connection ended. Nothing was started.
    #[error("all connections to {store} were in use for {} s; try again, or allow more connections with `?pool=N` in the address and with Postgres's `max_connections`", waited.as_secs_f32())]
    Crowded {
        /// The store.
        store: String,
        /// How long the call waited for a connection.
        waited: Duration,
    },
    /// The bytes in the store are not a record that this version can read.
    #[error("{store} holds a record that cannot be read: {source}")]
    Unreadable {
        /// The store.
        store: String,
        /// What is wrong with the record.
        source: DecodeError,
    },
    /// A newer version of this crate has upgraded the store.
    #[error(
        "{store} was upgraded to schema {found} by a newer version of operator-runtime, and this version knows schemas up to {known}; run the newer version"
    )]
    TooNew {
        /// The store.
        store: String,
        /// The schema of the store.
        found: u32,
        /// The newest schema this version knows.
        known: u32,
    },
    /// The store's tables are missing or out of date, or the program's role lacks rights on them, and the role may not
    /// change that.
    #[error("{store} {why}")]
    NotReady {
        /// The store.
        store: String,
        /// What the store has or does not allow, and what to do.
        why: String,
    },
    /// Another transaction locks the record, and did not end within the store's time limit.
    #[error("another transaction of {store} locks the record of the operation and did not end in time; try again")]
    Locked {
        /// The store.
        store: String,
    },
    /// The store rolled back the transaction before its commit for a reason that may be temporary: a conflict with
    /// another transaction, or a lost connection.
    #[error("{store} rolled back the transaction before its commit: {}; try again", with_causes(&**source))]
    Interrupted {
        /// The store.
        store: String,
        /// The error of the driver.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The store or a handler's SQL rolled the transaction back while work was done in it.
    #[error(
        "the transaction was rolled back before its commit, so none of its changes are kept; check for a full or failing disk, or for a handler that ends transactions or continues after failed SQL"
    )]
    TransactionEnded,
    /// A handler's own SQL ended its transaction, made it fail, or overwrote the record of the call.
    #[error(
        "the handler's SQL ended its transaction or continued after a failed statement, so none of its changes are kept; return the SQL error from the handler, and leave BEGIN, COMMIT and ROLLBACK to the store"
    )]
    EndedByHandler,
    /// The store has been closed.
    #[error("{store} is closed; the program is shutting down")]
    Closed {
        /// The store.
        store: String,
    },
    /// The address is wrong, or names a store that this program was built without.
    #[error("{0}")]
    Address(String),
}

impl StoreError {
    /// Whether a later attempt may succeed without a change to the program or to the store.
    fn is_temporary(&self) -> bool {
        match self {
            Self::Full { .. }
            | Self::Unavailable { .. }
            | Self::Unconfirmed { .. }
            | Self::Crowded { .. }
            | Self::Locked { .. }
            | Self::Interrupted { .. }
            | Self::Closed { .. } => true,
            Self::Unreadable { .. }
            | Self::TooNew { .. }
            | Self::NotReady { .. }
            | Self::TransactionEnded
            | Self::EndedByHandler
            | Self::Address(_) => false,
        }
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
impl StoreError {
    /// [`Full`](Self::Full) if the source says that there is no space left, otherwise
    /// [`Unavailable`](Self::Unavailable).
    pub(crate) fn unavailable(store: &str, doing: &'static str, source: impl Error + Send + Sync + 'static) -> Self {
        if let Some(remedy) = full::remedy(&source) {
            return Self::Full {
                store: store.to_owned(),
                remedy,
                source: Arc::new(source),
            };
        }
        Self::Unavailable {
            store: store.to_owned(),
            doing,
            source: Arc::new(source),
        }
    }
}

/// Values that a store gives to handlers, by type.
pub type Provided = Vec<(TypeId, Arc<dyn Any + Send + Sync>)>;

/// A write that a store makes only if the record has not changed in the meantime.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The operation.
    pub id: OperationId,
    /// The revision that the stored record must have; `None` if the store must not have a record of the operation.
    pub expected: Option<Revision>,
    /// The record to write.
    pub new: Arc<Record>,
    /// Whether this write resets the time at which the operation was first seen.
    pub first_seen: FirstSeen,
    /// The row of the audit that belongs to this write. Only a store with an [`AuditLog`] is given one.
    pub audit: Audit,
}

/// A store of records.
///
/// An implementation is correct if it passes [`contract::check`].
pub trait Store: Debug + Send + Sync + 'static {
    /// Writes the record of the proposal if the stored record has the revision that the proposal expects. The write is
    /// atomic for all programs that share the store, and durable before the answer. A new record counts as first seen
    /// now, whatever the proposal says.
    ///
    /// If a failed write may have happened, or has happened but is not durable, the error is
    /// [`StoreError::Unconfirmed`]. So a store behind a network chooses the revision before it sends the write.
    ///
    /// The ages in the answer are by the store's own clock, and never negative.
    fn swap(&self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>>;

    /// Tells the store for how long records are valid, before the first record is written. A store whose records expire
    /// by themselves keeps each record for this time after its last write. A store that is swept can ignore this call.
    fn keep_for(&self, _ttl: Duration) {}

    /// Tells the store how long a call may wait for its turn. A store whose connections are all in use answers
    /// [`StoreError::Crowded`] after this time, and a store that repeats failed requests does not begin to repeat one
    /// later; other stores can ignore this.
    fn wait_for(&self, _wait: Duration) {}

    /// Removes at most `limit` records that were both first seen and last written longer ago than `older_than`, and
    /// returns how many it removed.
    fn sweep(&self, older_than: Duration, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// One page of about `limit` records whose ids are in `ids`, for a person to look through. The page begins where
    /// the page with the cursor `after` ended. Every record that exists during the whole listing is on one of the
    /// pages.
    ///
    /// The ages are by the store's own clock. The times are what the store has kept, so that a record that is listed again
    /// has the same times.
    fn list(
        &self,
        ids: RangeInclusive<OperationId>,
        after: Option<Cursor>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Page, StoreError>>;

    /// Whether the store can be reached now. The default implementation lists one record.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = OperationId::new("", "");
        Box::pin(async move { self.list(id..=id, None, 1).await.map(drop) })
    }

    /// Counts the records, including expired records that are not swept yet. An attempt counts as lost if its record
    /// was last written at least `lease` ago. The default implementation reads all records.
    fn count(&self, lease: Duration) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Counts::by_reading(self, lease)
    }

    /// The store in a few words for the log at start-up, such as "SQLite file operator.db", without secrets.
    fn describe(&self) -> String;

    /// A full sentence that warns the person who runs the program, for example that records are lost at a restart.
    fn warning(&self) -> Option<String> {
        None
    }

    /// Values of the store that handlers may borrow.
    fn provides(&self) -> Provided {
        Vec::new()
    }

    /// The store's transactions, if handlers can commit their effects together with the record.
    fn transactions(&self) -> Option<&dyn Transactions> {
        None
    }

    /// The counts of limits, if endpoints with limits can use this store.
    fn limits(&self) -> Option<&dyn Limits> {
        None
    }

    /// The store's audit, if the store can add a row to it in the commit of a record.
    fn audit(&self) -> Option<&dyn AuditLog> {
        None
    }

    /// Returns this store if it is a store of this crate, because start-up creates a program's tables in such a store.
    /// An `Arc` returns the store that it points to.
    #[doc(hidden)]
    fn built_in(&self) -> Option<&(dyn Any + Send + Sync)> {
        None
    }

    /// Finishes the work that has begun, and closes files and connections. Later requests fail.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A store in whose transactions handlers can work.
pub trait Transactions: Send + Sync {
    /// The type that [`Transaction::handle`] downcasts to, such as `Tx<Sqlite>`.
    fn handle_type(&self) -> TypeId;

    /// Runs `work` in a transaction, and commits it or rolls it back according to the verdict. At most `limit` passes
    /// between two statements, unless the process is frozen or lost. If statements block a thread, the store interrupts
    /// a statement once `limit` has passed since the handler's savepoint.
    ///
    /// Dropping the future either rolls back the whole transaction, or does not stop the work.
    fn transact(&self, limit: Duration, work: Work) -> BoxFuture<'_, Ended>;
}

/// The work that is done in a transaction.
pub type Work = Box<dyn for<'t> FnOnce(&'t mut dyn Transaction) -> BoxFuture<'t, Verdict> + Send>;

/// How a transaction should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Keep the changes.
    Commit,
    /// Undo the changes.
    RollBack,
}

/// How a transaction has ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// The changes are kept, as durably as the store keeps records.
    Committed,
    /// The changes are undone, because the verdict was to roll back.
    RolledBack,
    /// The changes are undone, because the transaction could not be started, continued or committed.
    Failed(StoreError),
    /// The outcome is unknown, because the answer to the commit was lost.
    CommitUnknown(StoreError),
}

/// Whether the handler's error, or one of its sources, says that the database ended the transaction because of a
/// conflict with another transaction. Then the handler may succeed when it runs again.
pub(crate) fn is_conflict(error: &(dyn Error + 'static)) -> bool {
    #[cfg(feature = "postgres")]
    if postgres::is_conflict(error) {
        return true;
    }
    let _ = error;
    false
}

/// Whether the handler's error, or one of its sources, says that a database was out of reach or busy. Then the handler may
/// succeed when it runs again. The error of a wrong query does not count.
pub(crate) fn is_out_of_reach(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(|error| {
        #[cfg(feature = "postgres")]
        if error.downcast_ref().is_some_and(postgres::is_out_of_reach) {
            return true;
        }
        #[cfg(feature = "sqlite")]
        if sqlite::is_out_of_reach(error) {
            return true;
        }
        error.downcast_ref().is_some_and(StoreError::is_temporary)
    })
}

/// An open transaction.
pub trait Transaction: Send {
    /// [`Store::swap`] inside this transaction, which is committed only if the record is completed.
    ///
    /// The write that completes the record is the last one before the verdict, and may be sent with the commit. If the
    /// record then has another revision than expected, the commit fails and nothing is kept.
    fn swap(&mut self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>>;

    /// Says what [`reserve`](Self::reserve) will be asked for first if a [`swap`](Self::swap) that expects no record writes
    /// its record. A store on another machine can send the record, [`savepoint`](Self::savepoint) and the reservation
    /// together, which saves a round trip. It must make the reservation after the savepoint, and only if the record is
    /// written. The caller must then ask for the reservation, or roll the savepoint back.
    ///
    /// The default implementation does nothing.
    fn will_reserve(&mut self, _first: Reservation) {}

    /// [`Limits::reserve`] inside this transaction, after [`savepoint`](Self::savepoint), so that the reservation is kept
    /// or undone with the handler's effects. Other transactions wait for this one if they reserve parts of the same value.
    ///
    /// The default implementation fails. A store with [`Store::limits`] has its own.
    fn reserve(&mut self, _asked: Reservation) -> Step<'_, Result<Reserved, StoreError>> {
        let why = "the transactions of this store cannot reserve parts of limits: implement `Transaction::reserve`";
        Step::Now(Err(StoreError::Address(why.to_owned())))
    }

    /// Sets the handler's savepoint, once in each transaction. The handler's effects come after the savepoint.
    fn savepoint(&mut self) -> Step<'_, Result<(), StoreError>>;

    /// Undoes the changes since [`savepoint`](Self::savepoint), and ends the savepoint.
    fn roll_back_savepoint(&mut self) -> Step<'_, Result<(), StoreError>>;

    /// Keeps the changes since [`savepoint`](Self::savepoint), and ends the savepoint.
    fn release_savepoint(&mut self) -> Step<'_, Result<(), StoreError>>;

    /// The value that the handler borrows; [`Transactions::handle_type`] is its type.
    fn handle(&mut self) -> &mut (dyn Any + Send);
}
