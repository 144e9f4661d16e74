//! The rows of the audit: what was asked of an operation, by whom, and how the operation ended.

use std::borrow::Cow;
use std::time::SystemTime;

use super::operation::{OperationId, Origin};

/// One row of the audit, which a store adds in the commit that ends an operation.
///
/// ```
/// use operator_runtime::store::{AuditRow, OperationId, Origin};
///
/// let id = OperationId::new("shop", "refund-1004");
/// let mut row = AuditRow::new(id, Origin::new("refund_order", "refund-1004", "shop"), "done");
/// row.inputs = Some(r#"{"order_id":1004}"#.to_owned());
/// assert_eq!((row.attempts, row.settled_by), (1, None));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditRow {
    /// The operation.
    pub operation: OperationId,
    /// The endpoint, the idempotency key and the tenant.
    pub origin: Origin,
    /// The id of the credential that made the call. In the row of a settlement, `key_id`, `scheme`, `inputs` and `trace_id`
    /// are those of the operation's newest row with inputs, or `None` without such a row, as after a crash that no retry
    /// has noticed.
    pub key_id: Option<String>,
    /// The scheme of the credential, in the word of the log.
    pub scheme: Option<Cow<'static, str>>,
    /// The inputs as one JSON object without spaces, whose fields are sorted by name. `None` if they cannot be read.
    pub inputs: Option<String>,
    /// How the operation ended, in the word of the log and the metrics.
    pub outcome: Cow<'static, str>,
    /// The HTTP status of the answer; `None` if a person found out that the operation was not done.
    pub status: Option<u16>,
    /// The answer's JSON; `None` if there is none, or if it was too long to keep.
    pub answer: Option<String>,
    /// How many attempts there were, from 1.
    pub attempts: u32,
    /// The id of the caller's trace, if the caller sent one.
    pub trace_id: Option<String>,
    /// The name of the person who settled the operation; `None` if it ended by itself.
    pub settled_by: Option<String>,
}

impl AuditRow {
    /// A row for an operation that ended in its first attempt. The optional fields are `None`; set those that you know.
    #[must_use]
    pub fn new(operation: OperationId, origin: Origin, outcome: impl Into<Cow<'static, str>>) -> Self {
        Self {
            operation,
            origin,
            key_id: None,
            scheme: None,
            inputs: None,
            outcome: outcome.into(),
            status: None,
            answer: None,
            attempts: 1,
            trace_id: None,
            settled_by: None,
        }
    }
}

/// A row of the audit as a store lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audited {
    /// When the operation ended, by the store's clock.
    pub ended: SystemTime,
    /// The row.
    pub row: AuditRow,
}

impl Audited {
    /// A row that was added at the time `ended`.
    #[must_use]
    pub fn new(ended: SystemTime, row: AuditRow) -> Self {
        Self { ended, row }
    }
}
