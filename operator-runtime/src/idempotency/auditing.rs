//! What the audit says about an operation that has ended.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;

use super::outcome::Answer;
use crate::problem::{Kind, Outcome};
use crate::record::{AuditRow, State};
use crate::store::Audit;

/// A call from which rows of the audit are made. It exists only if the audit is on.
pub(crate) trait AuditDraft: Debug + Send + Sync {
    /// The row of the operation, which ended like this in the attempt with this number.
    fn row(&self, ending: &Ending<'_>, attempts: u32) -> AuditRow;
}

/// The draft of a call, if the audit is on.
pub(crate) type Draft = Option<Arc<dyn AuditDraft>>;

/// How an operation has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending<'a> {
    pub(crate) outcome: Outcome,
    pub(crate) status: u16,
    /// The body of the answer. `None` if the operation has no answer, or if the answer is too long to keep.
    pub(crate) answer: Option<&'a Bytes>,
}

impl<'a> Ending<'a> {
    /// The ending of an operation whose outcome is unknown.
    pub(crate) fn unknown() -> Self {
        let row = Kind::OutcomeUnknown.row();
        Self {
            outcome: row.outcome,
            status: row.status,
            answer: None,
        }
    }

    /// The ending of an operation whose record has this state after an attempt with this answer. `None` if the operation
    /// has not ended, so that a retry runs the handler again.
    pub(super) fn of(state: &State, answer: &'a Answer) -> Option<Self> {
        match (state, answer) {
            (State::Unknown, _) => Some(Self::unknown()),
            (State::Completed(_) | State::NotKept, Answer::Response { response, kind }) => Some(Self {
                outcome: kind.map_or(Outcome::Done, |kind| kind.row().outcome),
                status: response.status.as_u16(),
                answer: (*state != State::NotKept).then_some(&response.body),
            }),
            _ => None,
        }
    }
}

/// What a write adds to the audit that does not end its operation.
pub(super) fn later(draft: &Draft) -> Audit {
    draft.as_ref().map_or(Audit::Nothing, |_| Audit::Later)
}

/// What the write that ends an operation adds to the audit.
pub(super) fn row(draft: &Draft, ending: Option<Ending<'_>>, attempts: u32) -> Audit {
    match (draft, ending) {
        (Some(draft), Some(ending)) => Audit::Row(Arc::new(draft.row(&ending, attempts))),
        _ => Audit::Nothing,
    }
}
