//! What goes back to the caller: an answer, a replay, or the sentence for why there is none.

use std::borrow::Cow;

use bytes::Bytes;

use crate::idempotency::effect::Effect;
use crate::idempotency::outcome::{Answer, Recorded};
use crate::pipeline::prepared::PreparedEndpoint;
use crate::problem::{Error, Kind, Outcome, PROBLEM_JSON};
use crate::protocol::request::Refusal;
use crate::record::Response;
use crate::record::operation::OperationId;
use crate::store::StoreError;

/// What goes back to the caller.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: Cow<'static, str>,
    pub(crate) body: Bytes,
    pub(crate) replayed: bool,
    /// Which problem the reply is; none where a handler has returned a value, or the reply is a replay.
    kind: Option<Kind>,
}

impl Reply {
    pub(crate) fn from_error(error: &Error) -> Self {
        Self::of(response_of(error), Some(error.kind()))
    }

    /// With the handler's value, or its problem of that kind.
    fn of(response: Response, kind: Option<Kind>) -> Self {
        Self {
            status: response.status.as_u16(),
            content_type: response.content_type,
            body: response.body,
            replayed: false,
            kind,
        }
    }

    fn replay(response: Response) -> Self {
        Self {
            replayed: true,
            ..Self::of(response, None)
        }
    }

    /// The value of `Retry-After`, in seconds.
    pub(crate) fn retry_after(&self) -> Option<u32> {
        self.kind.and_then(|kind| kind.row().retry_after)
    }

    /// What came of the call.
    pub(crate) fn outcome(&self) -> Outcome {
        if self.replayed {
            return Outcome::Replayed;
        }
        self.kind.map_or(Outcome::Done, |kind| kind.row().outcome)
    }
}

pub(crate) fn response_of(error: &Error) -> Response {
    Response {
        status: error.status(),
        content_type: PROBLEM_JSON.into(),
        body: error.to_body(),
    }
}

/// What an attempt that has ended is answered with; `operation` is its, where a person may have to look it up.
pub(crate) fn reply_of(answer: Answer, effect: Effect, operation: Option<OperationId>) -> Reply {
    match (answer, effect, operation) {
        (Answer::Response { response, kind }, ..) => Reply::of(response, kind),
        (Answer::Failed | Answer::TimedOut, Effect::AtMostOnce, Some(operation)) => {
            Reply::from_error(&unknown(operation))
        }
        (Answer::Failed, ..) => Reply::from_error(&Error::internal("logged already")),
        (Answer::TimedOut, effect, _) => Reply::from_error(&timed_out(effect)),
        (Answer::TooLong { limit }, ..) => Reply::from_error(&too_long(limit)),
    }
}

/// What the record of an operation tells a call that does not run.
pub(crate) fn reply_of_record(recorded: Recorded, operation: OperationId) -> Reply {
    match recorded {
        Recorded::Replayed(response) => Reply::replay(response),
        Recorded::StillRunning => Reply::from_error(&busy()),
        Recorded::KeyReused => Reply::from_error(&mismatch()),
        Recorded::OutcomeUnknown => Reply::from_error(&unknown(operation)),
        Recorded::ResponseNotKept => Reply::from_error(&not_kept()),
    }
}

fn timed_out(effect: Effect) -> Error {
    let detail = if effect == Effect::Rerunnable {
        "The server took too long and has stopped; a part of this may have taken effect. Sending it again is safe."
    } else {
        "The server took too long and has stopped; nothing was kept. Send it again."
    };
    Error::new(Kind::TimedOut, detail)
}

pub(crate) fn refuse(endpoint: &PreparedEndpoint, refusal: Refusal) -> Reply {
    let name = endpoint.endpoint.name;
    if let Refusal::Signature {
        payload_length,
        payload_sha256,
        ..
    } = &refusal
    {
        tracing::warn!(
            endpoint = name,
            payload_length,
            payload_sha256,
            "refused: the signature does not match"
        );
    } else {
        tracing::warn!(endpoint = name, reason = %refusal, "refused");
    }
    Reply::from_error(&refusal.into())
}

/// For a call that the store could not take up.
pub(crate) fn not_taken_up(error: &StoreError) -> Error {
    if let StoreError::Crowded { .. } = error {
        tracing::warn!(%error, "a call was not begun");
        return queued();
    }
    tracing::error!(%error, "the store of operations failed");
    if let StoreError::Full { .. } = error {
        let detail = "The server's store of operations is full, so nothing was done. Send it again later.";
        return Error::new(Kind::StoreFull, detail);
    }
    Error::new(
        Kind::Unavailable,
        "The server cannot reach its record of operations at this moment, so nothing was done. Send it again.",
    )
}

/// For a transaction that the store could not keep, though its handler had begun.
pub(crate) fn undone(error: &StoreError) -> Error {
    tracing::error!(%error, "a transaction was not kept");
    if matches!(error, StoreError::EndedByHandler) {
        let detail = "The server failed while it carried out this request, and nothing of it was kept. The failure has been logged for its operators.";
        return Error::new(Kind::Internal, detail);
    }
    if let StoreError::Full { .. } = error {
        let detail =
            "The server's store of operations is full, so all that this call did was undone. Send it again later.";
        return Error::new(Kind::UndoneFull, detail);
    }
    let detail = "The server could not keep what this call did, so all of it was undone. Send it again.";
    Error::new(Kind::Undone, detail)
}

pub(crate) fn not_recorded() -> Error {
    Error::new(
        Kind::OutcomeNotRecorded,
        "This call may have taken effect, and the server could not record its outcome. Send it again with the same idempotency key to learn it.",
    )
}

pub(crate) fn busy() -> Error {
    Error::new(
        Kind::StillRunning,
        "The same operation is still running. Send it again with the same idempotency key to get its answer.",
    )
}

/// For a call that has waited for the store to take it up, and is not known to be a duplicate.
pub(crate) fn queued() -> Error {
    Error::new(
        Kind::Queued,
        "The server has not begun this yet, because other work is before it. Send it again with the same idempotency key to get its answer.",
    )
}

pub(crate) fn mismatch() -> Error {
    Error::new(
        Kind::KeyReused,
        "This idempotency key was used for a different request. Use a new key for a new operation.",
    )
}

fn unknown(operation: OperationId) -> Error {
    tracing::error!(%operation, "the outcome of an operation is unknown: `operations settle` is for the person who finds out");
    Error::new(
        Kind::OutcomeUnknown,
        format!(
            "The server was interrupted while it carried this out, and it may have taken effect. It is not run a second time; ask a person to look it up as operation {}.",
            operation.abbreviated()
        ),
    )
    .about(operation)
}

fn not_kept() -> Error {
    Error::new(
        Kind::ResponseNotKept,
        "The answer of this operation was too large to keep, so it cannot be given again; the operation is not run a second time.",
    )
}

fn too_long(limit: usize) -> Error {
    tracing::error!(
        limit,
        "an answer was longer than is kept, so its transaction was undone: answer with less, or raise `response_limit`"
    );
    Error::new(
        Kind::AnswerTooLong,
        format!(
            "The answer of this operation is longer than {limit} bytes, which the server keeps for retries, so all that it did was undone: nothing has happened. Sending it again comes to the same; ask for less at a time."
        ),
    )
}
