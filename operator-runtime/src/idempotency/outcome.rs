//! How a handler ended, and what its caller is told.

use super::machine::{Event, Reply};
use crate::record::Response;

/// How a handler ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HandlerOutcome {
    /// With a response; `retryable` if the handler marked its error so.
    Finished {
        response: Response,
        retryable: bool,
    },
    /// With an error, because another transaction was in the way of its own, which is undone.
    Conflict,
    /// With a panic, or with a value that cannot be written: what it does may be done, and nobody can tell its answer.
    Panicked,
    TimedOut,
}

/// What the caller of an attempt that has ended is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Response(Response),
    /// That the handler failed, without inner text.
    Failed,
    TimedOut,
    /// That the response was longer than this many bytes, which are kept, and its effects were undone.
    TooLong {
        limit: usize,
    },
}

impl HandlerOutcome {
    pub(super) fn event(&self) -> Event {
        match self {
            Self::Finished { response, retryable } => Event::Finished {
                status: response.status.as_u16(),
                retryable: *retryable,
                size: response.body.len(),
            },
            // As an error that is marked retryable.
            Self::Conflict => Event::Finished {
                status: 503,
                retryable: true,
                size: 0,
            },
            Self::Panicked => Event::Panicked,
            Self::TimedOut => Event::TimedOut,
        }
    }

    pub(super) fn answer(self, reply: Reply) -> Answer {
        match (reply, self) {
            (Reply::Response, Self::Finished { response, .. }) => Answer::Response(response),
            // It runs again for as long as it has time, so this is told when that is up.
            (Reply::TimedOut, _) | (_, Self::Conflict) => Answer::TimedOut,
            (Reply::TooLong { limit }, _) => Answer::TooLong { limit },
            (Reply::Failed | Reply::Response, _) => Answer::Failed,
        }
    }
}
