//! Reads on connections of their own that cannot write.

use std::fmt;
use std::ops::Deref;

use tokio::runtime::Handle;

use super::Postgres;
use super::pool::Pooled;
use super::session::Session;
use crate::store::StoreError;
use crate::transaction::Reader;

impl Reader<Postgres> {
    /// A connection that reads what is committed. A transaction that is begun on it is rolled back when it is dropped, or
    /// when it is idle for 65 s.
    ///
    /// # Errors
    /// If none can be had: the database is away, or too many are reading.
    pub async fn session(&self) -> Result<Reading, StoreError> {
        Ok(Reading(Some(self.pool.acquire().await?)))
    }
}

/// A connection that only reads. It dereferences to the driver's own client.
pub struct Reading(Option<Pooled>);

impl Deref for Reading {
    type Target = Session;

    fn deref(&self) -> &Session {
        match &self.0 {
            Some(pooled) => pooled,
            None => unreachable!("it is given back when it is dropped, and not before"),
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        // Whoever used it may have hung up in the middle of anything. Without a runtime the process is ending.
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
