//! Reads on connections of their own that cannot write.

use std::fmt;
use std::ops::Deref;

use super::Postgres;
use super::pool::Pooled;
use super::session::Session;
use crate::store::StoreError;
use crate::transaction::Reader;

impl Reader<Postgres> {
    /// A connection that reads what is committed; where it is inside `BEGIN`, end that before it is dropped.
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
        if let Some(pooled) = self.0.take() {
            pooled.give_back();
        }
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reading").finish_non_exhaustive()
    }
}
