//! The reply to the caller: an answer, a replayed answer, or an error.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::idempotency::effect::Effect;
use crate::idempotency::outcome::{Answer, Recorded};
use crate::pipeline::prepared::PreparedEndpoint;
use crate::problem::{Error, Kind, Outcome, ProblemSpec};
use crate::protocol::caller::Refused;
use crate::protocol::request::Refusal;
use crate::protocol::request_id;
use crate::record::operation::OperationId;
use crate::record::{JSON, Response};
use crate::store::StoreError;

/// The reply to the caller.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: Cow<'static, str>,
    pub(crate) body: Bytes,
    pub(crate) replayed: bool,
    /// The value of `WWW-Authenticate`.
    pub(crate) challenge: Option<Box<str>>,
    /// The kind of error. `None` if the reply is a handler's value or a replay.
    kind: Option<Kind>,
}

impl Reply {
    pub(crate) fn from_error(error: &Error) -> Self {
        Self::of(error.to_response(), Some(error.kind()))
    }

    /// The reply to an event that no handler answers.
    pub(crate) fn empty_object() -> Self {
        let response = Response {
            status: StatusCode::OK,
            content_type: JSON.into(),
            body: Bytes::from_static(b"{}"),
        };
        Self::of(response, None)
    }

    /// The reply of a call that ran: a value, or an error of `kind`.
    fn of(response: Response, kind: Option<Kind>) -> Self {
        Self {
            status: response.status.as_u16(),
            content_type: response.content_type,
            body: response.body,
            replayed: false,
            challenge: None,
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

    /// Whether this is the stored answer of a call that the handler, or a limit, refused.
    pub(crate) fn is_a_replayed_refusal(&self) -> bool {
        self.replayed && (400..500).contains(&self.status)
    }

    /// The outcome of the call.
    pub(crate) fn outcome(&self) -> Outcome {
        if self.replayed {
            return Outcome::Replayed;
        }
        self.kind.map_or(Outcome::Done, |kind| kind.row().outcome)
    }
}

/// The reply to a call whose attempt has ended. `operation` is set if a person may have to look up the operation.
pub(crate) fn reply_of(answer: Answer, effect: Effect, operation: Option<OperationId>) -> Reply {
    match (answer, effect, operation) {
        (Answer::Response { response, kind }, ..) => Reply::of(response, kind),
        (Answer::Failed | Answer::TimedOut | Answer::Unknown, Effect::AtMostOnce, Some(operation)) => {
            Reply::from_error(&unknown(operation))
        }
        (Answer::Unknown, ..) => Reply::from_error(&safe_to_repeat()),
        (Answer::Failed, ..) => Reply::from_error(&Error::internal("the cause is already in the log")),
        (Answer::TimedOut, effect, _) => Reply::from_error(&timed_out(effect)),
        (Answer::TooLong { limit }, ..) => Reply::from_error(&too_long(limit)),
    }
}

/// The reply to a call that does not run its handler, from the record of its operation.
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
        "The server took too long and stopped the operation. A part of the operation may have taken effect. It is safe to send the call again."
    } else {
        "The server took too long and stopped the operation. Nothing was saved. Send the call again."
    };
    Error::new(Kind::TimedOut, detail)
}

pub(crate) fn refuse(endpoint: &PreparedEndpoint, refused: Refused, headers: &HeaderMap) -> Reply {
    log_refused(endpoint.endpoint.name, &refused, headers);
    let challenge = endpoint
        .credentials
        .load()
        .all()
        .challenge(&refused.why, "endpoints", "");
    Reply {
        challenge: challenge.map(Into::into),
        ..Reply::from_error(&refused.why.into())
    }
}

/// Logs why a request is refused, and whose request it is, if that is known.
pub(crate) fn log_refused(endpoint: &str, Refused { why, caller }: &Refused, headers: &HeaderMap) {
    let request_id = request_id::of(headers);
    if let Refusal::Signature {
        payload_length,
        payload_sha256,
        ..
    } = why
    {
        tracing::warn!(
            endpoint,
            payload_length,
            payload_sha256,
            request_id,
            "refused: the signature does not match"
        );
        return;
    }
    let caller = caller.as_deref();
    tracing::warn!(
        endpoint,
        tenant = caller.map(|caller| caller.name().tenant()),
        key_id = caller.map(|caller| caller.name().id()),
        scheme = caller.map(|caller| caller.scheme().word()),
        reason = %why,
        request_id,
        "refused"
    );
}

/// The error of a call whose handler did not start, because the store failed.
pub(crate) fn not_taken_up(error: &StoreError) -> Error {
    if let StoreError::Crowded { .. } = error {
        tracing::warn!(%error, "a call was not started, because other work kept the store busy");
        return queued();
    }
    tracing::error!(%error, "the store of operations failed");
    if let StoreError::Full { .. } = error {
        let detail =
            "The server's store of operations is full, so the operation was not started. Send the call again later.";
        return Error::new(Kind::StoreFull, detail);
    }
    Error::new(
        Kind::Unavailable,
        "The server cannot reach its store of operations, so the operation was not started. Send the call again.",
    )
}

/// The error of a call whose handler could not reach its database, and may run again.
pub(crate) fn out_of_reach() -> Error {
    let detail = "The server could not reach its database and stopped this call. It is safe to send the call again.";
    Error::new(Kind::Unavailable, detail)
}

/// The error of a call whose handler had started, but whose transaction the store did not commit.
pub(crate) fn undone(error: &StoreError) -> Error {
    tracing::error!(%error, "a transaction was not committed");
    if matches!(error, StoreError::EndedByHandler) {
        let detail = "The server failed while it carried out this request, and undid everything that the request had changed. The failure has been logged for its operators.";
        return Error::new(Kind::Internal, detail);
    }
    if let StoreError::Full { .. } = error {
        let detail = "The server's store of operations is full, so everything that this call did was undone. Send the call again later.";
        return Error::new(Kind::UndoneFull, detail);
    }
    let detail = "The server could not save what this call did, so everything was undone. Send the call again.";
    Error::new(Kind::Undone, detail)
}

pub(crate) fn not_recorded() -> Error {
    Error::new(
        Kind::OutcomeNotRecorded,
        "This call may have taken effect, and the server could not record its outcome. Send the call again with the same idempotency key to learn the outcome.",
    )
}

pub(crate) fn busy() -> Error {
    Error::new(
        Kind::StillRunning,
        "The same operation is still running. Send the call again with the same idempotency key to get its answer.",
    )
}

/// The error of a call that waited too long for the store and is not known to be a duplicate.
pub(crate) fn queued() -> Error {
    Error::new(
        Kind::Queued,
        "The server has not started this operation yet, because other work is ahead of it. Send the call again with the same idempotency key to get its answer.",
    )
}

pub(crate) fn mismatch() -> Error {
    Error::new(
        Kind::KeyReused,
        "This idempotency key was used for a different request. Use a new key for a new operation.",
    )
}

fn unknown(operation: OperationId) -> Error {
    tracing::error!(%operation, "the outcome of an operation is unknown: find out whether it took effect, then record that with `operations settle`");
    Error::new(
        Kind::OutcomeUnknown,
        format!(
            "{} The server does not run it a second time: ask a person to look up operation {}.",
            ProblemSpec::UNKNOWN.detail,
            operation.abbreviated()
        ),
    )
    .about(operation)
}

/// The error of a call whose handler does not know what another system has done, and may run again.
fn safe_to_repeat() -> Error {
    let detail = "The server could not find out whether this operation took effect. It is safe to send the call again.";
    Error::new(Kind::Retryable, detail)
}

fn not_kept() -> Error {
    Error::new(
        Kind::ResponseNotKept,
        "The answer of this operation was too large to store, so it cannot be sent again. The operation has run, and the server does not run it a second time. Look its result up with another endpoint. Do not send the operation again with a new idempotency key, because that would run it a second time.",
    )
}

fn too_long(limit: usize) -> Error {
    tracing::error!(
        limit,
        "an answer is longer than `response_limit`, so its transaction was rolled back: return a shorter answer, or raise `response_limit`"
    );
    Error::new(
        Kind::AnswerTooLong,
        format!(
            "The answer of this operation is longer than {limit} bytes, the most that the server stores for retries. Everything that the operation did was undone: nothing has happened. The same request will fail again, so ask for less at a time."
        ),
    )
}
