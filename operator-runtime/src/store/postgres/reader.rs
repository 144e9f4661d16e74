//! Reads on a separate pool of connections, which cannot write.

use std::fmt;
use std::ops::Deref;

use tokio::runtime::Handle;

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
        Ok(Reading(Some(self.pool.acquire().await?)))
    }
}

/// A read-only connection. It dereferences to the driver's own client.
pub struct Reading(Option<Pooled>);

impl Deref for Reading {
    type Target = Session;

    fn deref(&self) -> &Session {
        match &self.0 {
            Some(pooled) => pooled,
            None => unreachable!("the connection is given back only when `Reading` is dropped"),
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        // A caller that hung up may have left a statement or a transaction open. Without a runtime, the process is
        // ending.
        if let (Some(pooled), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(pooled.end_and_give_back());
        }
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reading").finish_non_exhaustive()
    }
}
