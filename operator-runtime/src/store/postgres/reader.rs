//! A separate pool of read-only connections.

use std::fmt;
use std::ops::Deref;

use scopeguard::{ScopeGuard, guard};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::Postgres;
use super::pool::Pooled;
use super::session::Session;
use crate::store::StoreError;
use crate::transaction::Reader;

impl Reader<Postgres> {
    /// A connection that reads committed data. A transaction that is begun on it is rolled back when the connection is
    /// dropped, or when the transaction has been idle for 65 s.
    ///
    /// # Errors
    /// If no connection is available: the database cannot be reached, or too many readers are active.
    pub async fn session(&self) -> Result<Reading, StoreError> {
        let pooled = self.pool.acquire().await?;
        Ok(Reading {
            _watch: pooled.keep_watch(),
            session: guard(pooled, give_back),
        })
    }
}

/// A read-only connection. It dereferences to the driver's own client.
pub struct Reading {
    session: ScopeGuard<Pooled, fn(Pooled)>,
    /// Closes the connection if its server is lost, so that no read waits for a lost server.
    _watch: AbortOnDropHandle<()>,
}

impl Deref for Reading {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

/// Gives a connection back to its pool. If the caller disconnected, a statement or a transaction may still be open. If
/// there is no Tokio runtime, the process is stopping, and nothing is done.
fn give_back(pooled: Pooled) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(pooled.end_and_give_back());
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reading").finish_non_exhaustive()
    }
}
