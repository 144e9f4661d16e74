//! Database arguments of handlers: `Tx` writes in the transaction that also writes the call's record, `Reader` reads
//! outside that transaction.

use std::fmt;
use std::ops::Deref;

/// A database that handlers can work in.
pub trait Database: sealed::Sealed + Send + Sync + 'static {
    /// The driver's own connection.
    type Connection: Send;
    #[doc(hidden)]
    type Pool: Send + Sync;
}

pub(crate) mod sealed {
    /// Only this crate implements databases, because each needs a store that commits its transactions.
    pub trait Sealed {}
}

/// The transaction that also writes the call's idempotency record: what a handler writes through it is committed
/// together with the handler's response, or not at all.
///
/// An endpoint that takes a `Tx` is transactional, whatever its other arguments are. After a crash in the middle, a
/// retry runs it again as if nothing had happened. The options `effect` and `read_only` say something else about a
/// retry, so they do not compile together with a `Tx`.
///
/// `Tx` dereferences to the driver's own connection. The store begins and ends the transaction; a handler cannot.
pub struct Tx<D: Database> {
    pub(crate) connection: D::Connection,
}

impl<D: Database> Deref for Tx<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        &self.connection
    }
}

impl<D: Database> fmt::Debug for Tx<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tx").finish_non_exhaustive()
    }
}

/// Reads a database outside the calls' transactions, on connections that cannot write and never wait for the writer.
///
/// If the database is out of reach and the handler returns the error with `?`, the caller gets 503 with `Retry-After`,
/// because a read may be sent again. The error of a wrong query stays a 500.
pub struct Reader<D: Database> {
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        expect(dead_code, reason = "only the database features read this field")
    )]
    pub(crate) pool: D::Pool,
}

impl<D: Database> fmt::Debug for Reader<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reader").finish_non_exhaustive()
    }
}
