//! How a handler ended, which answer its caller gets, and which answer a record has for a call that does not run.

use crate::problem::{Error, Kind};
use crate::record::Response;

/// How a handler ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HandlerOutcome {
    /// The handler returned a response: a value, or a problem of this kind.
    Finished {
        response: Response,
        kind: Option<Kind>,
    },
    /// The handler returned an error because its transaction conflicted with another one and was rolled back.
    Conflict,
    /// The handler panicked, or returned a value that cannot be serialized. Its effects may have happened, and its
    /// answer is lost.
    Panicked,
    TimedOut,
    /// The handler does not know whether another system has acted.
    Unknown,
}

impl HandlerOutcome {
    /// The outcome of an attempt that has ended with this error.
    pub(crate) fn refused(error: &Error) -> Self {
        Self::Finished {
            response: error.to_response(),
            kind: Some(error.kind()),
        }
    }
}

/// The answer for the caller of an attempt that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The handler's response: a value, or a problem of this kind.
    Response {
        response: Response,
        kind: Option<Kind>,
    },
    /// The handler failed. The caller gets no details.
    Failed,
    TimedOut,
    /// The handler does not know whether another system has acted.
    Unknown,
    /// The response was longer than `limit` bytes, so the transaction was rolled back.
    TooLong {
        limit: usize,
    },
}

impl Answer {
    /// Whether a transaction with this answer was rolled back, and its operation has ended with the answer. An answer that
    /// asks the caller to send the call again later does not end its operation.
    pub(crate) fn is_undone_for_good(&self) -> bool {
        match self {
            Self::Response { response, kind } => {
                response.status.as_u16() >= 500 && !kind.is_some_and(Kind::is_retryable)
            }
            Self::Failed | Self::TimedOut | Self::Unknown | Self::TooLong { .. } => true,
        }
    }
}

/// The answer that the record of an operation has for a call that does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// The answer of an earlier call.
    Replayed(Response),
    /// Another attempt is alive.
    StillRunning,
    /// The key was used for another request.
    KeyReused,
    /// An attempt was lost, and its effect may have happened.
    OutcomeUnknown,
    /// The operation has ended, and its answer was too long to keep.
    ResponseNotKept,
}
