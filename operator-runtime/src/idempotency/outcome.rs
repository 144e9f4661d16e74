//! How a handler ended, what its caller is told, and what a record tells a call that does not run.

use crate::problem::Kind;
use crate::record::Response;

/// How a handler ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HandlerOutcome {
    /// With a response: a value, or the problem of that kind.
    Finished {
        response: Response,
        kind: Option<Kind>,
    },
    /// With an error, because its transaction conflicted with another one and was undone.
    Conflict,
    /// With a panic, or with a value that cannot be serialized: its effects may have happened, and its answer is lost.
    Panicked,
    TimedOut,
}

/// What the caller of an attempt that has ended is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The handler's response: a value, or the problem of that kind.
    Response {
        response: Response,
        kind: Option<Kind>,
    },
    /// That the handler failed, without inner text.
    Failed,
    TimedOut,
    /// That the response was longer than this many bytes, which are kept, and its effects were undone.
    TooLong {
        limit: usize,
    },
}

/// What the record of an operation tells a call that does not run.
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
    /// The operation is over, and its answer was too long to keep.
    ResponseNotKept,
}
