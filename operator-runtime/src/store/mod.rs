//! Where records are kept: one trait, a compare-and-swap. The rules are not here, so no store can get them wrong.

use std::any::{Any, TypeId};
use std::error::Error;
use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::causes::with_causes;

pub use crate::record::operation::{Fingerprint, OperationId, Origin, ParseOperationIdError};
pub use crate::record::{Ages, DecodeError, FirstSeen, Record, Response, Settlement, State};

pub mod contract;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod full;
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

#[cfg(any(feature = "cli", test))]
pub(crate) use listing::Records;
pub use listing::{Counts, Cursor, Listed, Page};
pub use memory::MemoryStore;
pub use open::open;
#[cfg(fuzzing)]
pub(crate) use open::read_address;
pub(crate) use open::{addresses, not_opened};
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, PostgresStore, Reading, Session};
#[cfg(feature = "redis")]
pub use redis::RedisStore;
#[cfg(feature = "sqlite")]
pub use sqlite::{Durability, ReadError, Sqlite, SqliteStore};
pub(crate) use trial::Trial;

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An answer that is there already, or that has to be waited for.
///
/// A store that answers at once allocates nothing for a future.
#[must_use = "a step that is not awaited may not happen"]
pub enum Step<'a, T> {
    /// It has happened.
    Now(T),
    /// It begins when it is polled: dropped before, it has not happened.
    Later(BoxFuture<'a, T>),
}

impl<T: Send> Step<'_, T> {
    /// The answer, waited for if need be.
    #[allow(clippy::manual_async_fn, reason = "an `async fn` would keep room for the step twice")]
    pub fn wait(self) -> impl Future<Output = T> + Send {
        async move {
            match self {
                Self::Now(value) => value,
                Self::Later(future) => future.await,
            }
        }
    }
}

/// Which writing of a record: no two writings in a store's life share one, whatever their operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision(pub u64);

/// What a compare-and-swap found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swap {
    /// The record is written.
    Swapped(Revision),
    /// Nothing is written, because the store holds something else than was expected.
    Held {
        /// What to expect next time.
        revision: Revision,
        /// What is held.
        record: Arc<Record>,
        /// How old it is on the store's clock.
        ages: Ages,
    },
    /// Nothing is written, because a record was expected and there is none any more.
    Gone,
}

/// Why a store could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no room for what was to be written, and nothing of it is.
    #[error("{store} is full: {}; {remedy}", with_causes(&**source))]
    Full {
        /// Which store, as in [`Store::describe`].
        store: String,
        /// How to make room, as in "make room on the disk of its file".
        remedy: &'static str,
        /// What said so.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The store cannot be read or written at the moment.
    #[error("{store} could not {doing}: {}", with_causes(&**source))]
    Unavailable {
        /// Which store, as in [`Store::describe`].
        store: String,
        /// What it was asked for, as in "could not …".
        doing: &'static str,
        /// What went wrong inside.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// A write failed that may have happened all the same: its answer was lost, or it is not as safe as it was to be.
    #[error("{store} could not confirm that it has written a record: {}", with_causes(&**source))]
    Unconfirmed {
        /// Which store.
        store: String,
        /// What the record has been written as, if it has: no other writing has this revision.
        revision: Revision,
        /// What went wrong inside.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// All of the store's connections were in use, for as long as one is waited for: nothing was begun.
    #[error("{store} had all of its connections in use for {} s (`?pool=N` allows more); try again", waited.as_secs())]
    Crowded {
        /// Which store.
        store: String,
        /// How long one was waited for.
        waited: Duration,
    },
    /// What the store holds is not a record.
    #[error("{store} holds a record that cannot be read: {source}")]
    Unreadable {
        /// Which store.
        store: String,
        /// What is wrong with the record.
        source: DecodeError,
    },
    /// A newer version of this crate has upgraded the store.
    #[error(
        "{store} was upgraded to schema {found} by a newer version of operator-runtime, and this one knows {known}; run the newer version"
    )]
    TooNew {
        /// Which store.
        store: String,
        /// The schema it has.
        found: u32,
        /// The newest schema this version knows.
        known: u32,
    },
    /// A transaction that has not ended holds the record, and it was waited for as long as the store waits.
    #[error("another transaction of {store} holds the record of the operation, and did not end in time; try again")]
    Locked {
        /// Which store.
        store: String,
    },
    /// The store undid the transaction before its commit for a reason that may be gone the next time: another
    /// transaction was in the way, or the connection was lost.
    #[error("{store} undid the transaction before its commit: {}; try again", with_causes(&**source))]
    Interrupted {
        /// Which store.
        store: String,
        /// What it said.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The transaction was rolled back under the work that was done in it, by the store or by a handler's SQL.
    #[error(
        "the transaction ended before its commit, and nothing of it is kept; look for a full or failing disk, or for a handler that ends transactions or goes on after SQL that failed"
    )]
    TransactionEnded,
    /// A handler's own SQL ended its transaction, broke it, or wrote over the record that it began with.
    #[error(
        "the handler's SQL ended its transaction or went on after SQL that failed, so nothing of it is kept; return such an error from the handler, and leave BEGIN, COMMIT and ROLLBACK to the store"
    )]
    EndedByHandler,
    /// The store has been closed.
    #[error("{store} is closed; the program is shutting down")]
    Closed {
        /// Which store.
        store: String,
    },
    /// The address names no store that this build has.
    #[error("{0}")]
    Address(String),
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
impl StoreError {
    /// [`Unavailable`](Self::Unavailable), or [`Full`](Self::Full) where the source says that this is why.
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

/// Where records are kept.
///
/// An implementation holds if it passes [`contract::check`].
pub trait Store: Debug + Send + Sync + 'static {
    /// Writes `new` if what is held of `id` is the writing `expected`, or nothing where that is `None`: atomically,
    /// for every program that shares the store, and durably before it answers. A new record is first seen now,
    /// whatever `first_seen` says.
    ///
    /// Where a write that failed may have happened all the same, or has happened and is not durable, the error is
    /// [`StoreError::Unconfirmed`]. So a store that is asked over a network chooses the revision before it sends it.
    ///
    /// The ages it answers with are on the store's own clock, and never less than nothing.
    fn swap(
        &self,
        id: OperationId,
        expected: Option<Revision>,
        new: Arc<Record>,
        first_seen: FirstSeen,
    ) -> Step<'_, Result<Swap, StoreError>>;

    /// Says how long records count, before the first of them is written. A store that lets records expire by itself
    /// keeps each for this long after it was last written; one that is swept need not know.
    fn keep_for(&self, _ttl: Duration) {}

    /// Removes at most `limit` records that were first seen and last written longer ago than `older_than`, and says
    /// how many it removed.
    fn sweep(&self, older_than: Duration, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// Some of the records whose ids are in `ids`, about `limit` of them, beginning `after` an earlier page: for a
    /// person to look through. Every record that is held from the first page to the last is on one of them.
    ///
    /// The ages are on the store's own clock.
    fn list(
        &self,
        ids: RangeInclusive<OperationId>,
        after: Option<Cursor>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Page, StoreError>>;

    /// How many records are held, expired ones that are not swept yet among them; an attempt counts as lost once it
    /// has given no sign of life for `lease`. It reads all of them, unless the store has a better way.
    fn count(&self, lease: Duration) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Counts::by_reading(self, lease)
    }

    /// The store in a few words for the log at start-up, such as "SQLite file operator.db"; no secrets.
    fn describe(&self) -> String;

    /// What the person who runs the program should know, such as that nothing outlives it; a full sentence.
    fn warning(&self) -> Option<String> {
        None
    }

    /// Values that handlers may borrow.
    fn provides(&self) -> Provided {
        Vec::new()
    }

    /// The store's transactions, if effects can be committed with their record.
    fn transactions(&self) -> Option<&dyn Transactions> {
        None
    }

    /// This store, where it is one of this crate's: start-up makes a program's tables in those. An `Arc` tells what it
    /// shares.
    #[doc(hidden)]
    fn built_in(&self) -> Option<&(dyn Any + Send + Sync)> {
        None
    }

    /// Finishes what was begun and lets go of files and connections. Everything asked for afterwards is refused.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A store whose transactions handlers can put their effects in.
pub trait Transactions: Send + Sync {
    /// The type that [`Transaction::handle`] downcasts to, such as `Tx<Sqlite>`.
    fn handle_type(&self) -> TypeId;

    /// Runs `work` in a transaction and ends it as the verdict says. No statement of it takes longer than `limit` to
    /// follow the one before, unless the process is frozen or lost; where statements block, none runs on when `limit`
    /// has passed since the handler's savepoint.
    ///
    /// Dropping the future does not stop work that has begun, or undoes it whole.
    fn transact(&self, limit: Duration, work: Work) -> BoxFuture<'_, Ended>;
}

/// What is done in a transaction.
pub type Work = Box<dyn for<'t> FnOnce(&'t mut dyn Transaction) -> BoxFuture<'t, Verdict> + Send>;

/// How a transaction is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Keep what was done.
    Commit,
    /// Undo it.
    RollBack,
}

/// How a transaction has ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// What was done is kept, as durably as the store keeps anything.
    Committed,
    /// It is undone, as the work asked.
    RolledBack,
    /// It is undone, because the transaction could not be begun, held or committed.
    Failed(StoreError),
    /// Nobody can say: the answer to the commit was lost.
    CommitUnknown(StoreError),
}

/// Whether a database ended a handler's transaction for another one's sake, so that it may succeed when done again:
/// the handler's error says so, or one of its sources.
pub(crate) fn is_conflict(error: &(dyn Error + 'static)) -> bool {
    #[cfg(feature = "postgres")]
    if postgres::is_conflict(error) {
        return true;
    }
    let _ = error;
    false
}

/// A transaction while it is open.
pub trait Transaction: Send {
    /// [`Store::swap`], inside this transaction, which is only ever committed with the record completed.
    ///
    /// The write that completes the record is the last one before the verdict, and may be sent with the commit: where
    /// it then turns out that the record is not what was expected, the commit fails and nothing is kept.
    fn swap(
        &mut self,
        id: OperationId,
        expected: Option<Revision>,
        new: Arc<Record>,
        first_seen: FirstSeen,
    ) -> Step<'_, Result<Swap, StoreError>>;

    /// Begins the one inner savepoint, which holds the handler's effects.
    fn savepoint(&mut self) -> Step<'_, Result<(), StoreError>>;

    /// Undoes what was done since [`savepoint`](Self::savepoint), and ends it.
    fn roll_back_savepoint(&mut self) -> Step<'_, Result<(), StoreError>>;

    /// Keeps what was done since [`savepoint`](Self::savepoint), and ends it.
    fn release_savepoint(&mut self) -> Step<'_, Result<(), StoreError>>;

    /// What the handler takes; [`Transactions::handle_type`] names its type.
    fn handle(&mut self) -> &mut (dyn Any + Send);
}
