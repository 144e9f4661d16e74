//! The audit of a store: rows that are added in the commit of a record, read by people, and removed when they are old.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{AuditRow, Audited, BoxFuture, Cursor, StoreError};

/// What a write of a record adds to the audit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Audit {
    /// Nothing.
    #[default]
    Nothing,
    /// Nothing yet, but the write that ends this operation will add a row. The store refuses this write if it can see
    /// that it could not add a row, for example because somebody has locked the audit, so that no handler acts then.
    Later,
    /// This row, if the record is written: both are in one commit, or neither is.
    Row(Arc<AuditRow>),
}

impl Audit {
    /// The row, if there is one.
    #[must_use]
    pub fn row(&self) -> Option<&Arc<AuditRow>> {
        match self {
            Self::Row(row) => Some(row),
            Self::Nothing | Self::Later => None,
        }
    }
}

/// The audit of a store, which adds the row of a [`Proposal`](super::Proposal) in the commit of its record.
///
/// Rows are never changed.
pub trait AuditLog: Send + Sync {
    /// Checks at start-up that rows can be added, read and removed.
    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Adds a row in a commit of its own, for an operation that has left no record.
    fn add(&self, row: AuditRow) -> BoxFuture<'_, Result<(), StoreError>>;

    /// One page of at most `limit` rows, the newest first. The page begins where the page with the cursor `after` ended.
    fn page(
        &self,
        filter: AuditFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> BoxFuture<'_, Result<AuditPage, StoreError>>;

    /// Removes at most `limit` of the rows that were added longer ago than `older_than`, the oldest first, and returns
    /// how many it removed.
    fn sweep_rows(&self, older_than: Duration, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>>;
}

/// Which rows of the audit to list. The default is all rows.
///
/// ```
/// use operator_runtime::store::AuditFilter;
///
/// let mut filter = AuditFilter::default();
/// filter.endpoint = Some("refund_order".to_owned());
/// assert_eq!(filter.since, None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditFilter {
    /// Only rows that were added at this time or later.
    pub since: Option<SystemTime>,
    /// Only rows of the endpoint, or of the type of event, with this name.
    pub endpoint: Option<String>,
    /// Only rows of operations with this idempotency key.
    pub idempotency_key: Option<String>,
    /// Only rows of operations whose ids begin with these hexadecimal digits, in lower case.
    pub operation: Option<String>,
}

/// One page of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditPage {
    /// The rows, the newest first.
    pub rows: Vec<Audited>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<Cursor>,
}

impl AuditPage {
    /// A page with these rows. `next` is where the next page begins, and `None` on the last page.
    #[must_use]
    pub fn new(rows: Vec<Audited>, next: Option<Cursor>) -> Self {
        Self { rows, next }
    }

    /// A page of rows that have a place in the store. The cursor is the place of the last row, if the page is full.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn of_placed(rows: Vec<(Cursor, Audited)>, limit: u32) -> Self {
        let is_full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = rows.last().filter(|_| is_full).map(|(place, _)| place.clone());
        Self::new(rows.into_iter().map(|(_, row)| row).collect(), next)
    }
}
