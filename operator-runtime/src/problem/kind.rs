//! The table of problems: maps each kind of error to its type, status, title, outcome and `Retry-After`.

use super::outcome::Outcome;
use crate::protocol::request::RefusalKind;

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    InvalidInput,
    Malformed,
    NotFound,
    Conflict,
    /// The operation would exceed a limit of its endpoint.
    OverLimit,
    Retryable,
    Internal,
    /// The handler returned a value that cannot be serialized.
    Unwritable,
    TimedOut,
    OutcomeUnknown,
    OutcomeNotRecorded,
    ResponseNotKept,
    AnswerTooLong,
    StillRunning,
    KeyReused,
    Unavailable,
    /// The store is full, so the handler was not started.
    StoreFull,
    /// The transaction was rolled back because the store could not commit it.
    Undone,
    /// The transaction was rolled back because the store is full.
    UndoneFull,
    Full,
    /// The credential has sent more calls than its rate allows: (seconds until it may call again).
    OverRate(u32),
    Queued,
    Stopping,
    NoSuchPath,
    MethodNotAllowed,
    TooLarge,
    TooSlow,
    /// A page of another origin asks, or a client asks at another host.
    #[cfg(any(feature = "cli", feature = "mcp"))]
    NotForYou,
    /// A client does not accept the form of the answers.
    #[cfg(feature = "mcp")]
    NotAcceptable,
    /// The request is not verified.
    Refused(RefusalKind),
    /// An error type with `#[derive(OperatorError)]`: (slug, status, retryable).
    Declared(&'static str, u16, bool),
    /// An extractor rejected the request: (status).
    Rejected(u16),
}

/// What the caller, the log and the metrics show for one kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The last part of the problem's `type`.
    pub(crate) slug: &'static str,
    /// The HTTP status.
    pub(crate) status: u16,
    /// The problem's title, which is the same for every problem of this `type` (RFC 9457 §3.1.3).
    pub(crate) title: &'static str,
    pub(crate) outcome: Outcome,
    /// The value of `Retry-After`, in seconds; set only if a retry may help.
    pub(crate) retry_after: Option<u32>,
}

/// The value of `Retry-After` for a full store, in seconds. Expired records are removed once a minute, so the store may
/// have space again after a minute.
const UNTIL_THERE_IS_ROOM: u32 = 60;

impl Kind {
    /// The row of this kind. The match has no wildcard arm, so that a new kind does not compile without a row.
    pub(crate) fn row(self) -> Row {
        use Outcome as O;
        use RefusalKind as R;
        let row = |slug, status, title, outcome| Row {
            slug,
            status,
            title,
            outcome,
            retry_after: None,
        };
        let again = |seconds, row| Row {
            retry_after: Some(seconds),
            ..row
        };
        let by_status = |status| if status < 500 { O::Declined } else { O::Failed };
        match self {
            Self::InvalidInput => row("invalid-input", 400, "An input is wrong", O::Invalid),
            Self::Malformed => row("malformed-request", 400, "The request is malformed", O::Invalid),
            Self::NotFound => row("not-found", 404, "Not found", O::Declined),
            Self::Conflict => row("conflict", 409, "Conflict with the current state", O::Declined),
            Self::OverLimit => row("over-limit", 403, "A limit would be exceeded", O::OverLimit),
            Self::Retryable => again(1, row("try-again", 503, "Temporarily not possible", O::Failed)),
            Self::Internal | Self::Unwritable => row("internal", 500, "The server failed", O::Failed),
            Self::TimedOut => again(1, row("timed-out", 503, "The server took too long", O::TimedOut)),
            Self::OutcomeUnknown => row(
                "outcome-unknown",
                500,
                "It is unknown whether the operation took effect",
                O::Unknown,
            ),
            Self::OutcomeNotRecorded => {
                let title = "The outcome could not be recorded";
                again(2, row("outcome-not-recorded", 503, title, O::NotRecorded))
            }
            Self::ResponseNotKept => row(
                "response-not-kept",
                500,
                "The first answer was too large to keep",
                O::ResponseNotKept,
            ),
            Self::AnswerTooLong => row(
                "answer-too-long",
                500,
                "The answer is too long, so the operation was undone",
                O::ResponseNotKept,
            ),
            Self::StillRunning => {
                let title = "The same operation is still running";
                again(2, row("still-running", 409, title, O::StillRunning))
            }
            Self::KeyReused => row(
                "key-reused",
                422,
                "The idempotency key belongs to another request",
                O::KeyReused,
            ),
            Self::Unavailable => again(
                2,
                row(
                    "store-unavailable",
                    503,
                    "The store is unavailable",
                    O::StoreUnavailable,
                ),
            ),
            Self::StoreFull => again(
                UNTIL_THERE_IS_ROOM,
                row("store-full", 503, "Nothing was started", O::StoreUnavailable),
            ),
            Self::Undone => again(2, row("undone", 503, "The operation was undone", O::StoreUnavailable)),
            Self::UndoneFull => again(
                UNTIL_THERE_IS_ROOM,
                row("undone", 503, "The operation was undone", O::StoreUnavailable),
            ),
            Self::Full => again(1, row("server-full", 503, "Nothing was started", O::TurnedAway)),
            Self::OverRate(seconds) => {
                let title = "The caller has sent too many calls";
                again(seconds, row("too-many-calls", 429, title, O::TurnedAway))
            }
            Self::Queued => again(2, row("not-begun", 503, "Not started yet", O::TurnedAway)),
            Self::Stopping => again(1, row("server-stopping", 503, "Nothing was started", O::TurnedAway)),
            Self::NoSuchPath => row("no-such-path", 404, "No such endpoint", O::NotVerified),
            Self::MethodNotAllowed => row("method-not-allowed", 405, "Method not allowed", O::NotVerified),
            Self::TooLarge => row("body-too-large", 413, "The body is too large", O::NotVerified),
            Self::TooSlow => row(
                "request-too-slow",
                408,
                "The request did not arrive in time",
                O::NotVerified,
            ),
            #[cfg(any(feature = "cli", feature = "mcp"))]
            Self::NotForYou => row("not-for-you", 403, "The request comes from elsewhere", O::NotVerified),
            #[cfg(feature = "mcp")]
            Self::NotAcceptable => row(
                "not-acceptable",
                406,
                "The caller accepts no media type that this server sends",
                O::NotVerified,
            ),
            Self::Refused(refused) => {
                let row = |slug, status, title| row(slug, status, title, O::NotVerified);
                match refused {
                    R::MalformedSignature => row("malformed-signature", 401, "The signature cannot be read"),
                    R::NoCredential => row("no-credential", 401, "The request does not show who sends it"),
                    R::TwoCredentials => row("two-credentials", 401, "The request has two credentials"),
                    R::UnknownApiKey => row("unknown-api-key", 401, "The API key is not valid here"),
                    #[cfg(feature = "oauth")]
                    R::InvalidToken => row("invalid-token", 401, "The access token is not valid here"),
                    #[cfg(feature = "oauth")]
                    R::IssuerUnreachable => {
                        again(5, row("issuer-unreachable", 503, "Access tokens cannot be checked now"))
                    }
                    #[cfg(feature = "tls")]
                    R::InvalidCertificate => row("invalid-certificate", 401, "The client certificate is not valid"),
                    #[cfg(feature = "tls")]
                    R::UnknownCertificate => row("unknown-certificate", 403, "The client certificate is not known"),
                    R::InsufficientScope => row("insufficient-scope", 403, "The access token lacks a scope"),
                    R::StaleTimestamp => row("stale-timestamp", 401, "The timestamp is not current"),
                    R::SignatureMismatch => row("signature-mismatch", 401, "The signature does not match"),
                    R::UnsupportedMediaType => row("unsupported-media-type", 415, "The body is not plain JSON"),
                    R::Malformed => row("malformed-request", 400, "The request is malformed"),
                }
            }
            Self::Declared(slug, status, retryable) => Row {
                retry_after: retryable.then_some(1),
                ..row(slug, status, "The request cannot be carried out", by_status(status))
            },
            Self::Rejected(status) => Row {
                retry_after: (status >= 500).then_some(1),
                ..row("rejected", status, "The request was refused", by_status(status))
            },
        }
    }

    /// Whether the operation is released, so that a retry runs the handler again, for endpoints of every effect.
    pub(crate) fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Retryable | Self::Declared(_, _, true) | Self::Rejected(500..)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;
    use crate::problem::{DocumentedError, Error, ProblemSpec};

    #[test]
    fn a_documented_problem_is_a_row_of_the_table() {
        let [not_found, conflict, try_again] = Error::PROBLEMS else {
            panic!("{:?}", Error::PROBLEMS);
        };
        for (spec, kind) in [
            (not_found, Kind::NotFound),
            (conflict, Kind::Conflict),
            (try_again, Kind::Retryable),
            (&ProblemSpec::UNKNOWN, Kind::OutcomeUnknown),
        ] {
            let row = kind.row();
            assert_eq!((spec.kind, spec.status), (row.slug, row.status));
            assert_eq!(spec.retryable, kind.is_retryable(), "{}", row.slug);
        }
    }
}
