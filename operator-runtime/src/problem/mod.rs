//! Errors: the opaque public type, the table from kind to status behind it, and the problem body of RFC 9457.

mod causes;
mod kind;
mod outcome;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

pub(crate) use self::kind::Kind;
pub(crate) use self::outcome::Outcome;
pub(crate) use crate::record::PROBLEM_JSON;
use crate::record::Response;
use crate::record::operation::OperationId;

/// The detail of an error whose cause is only in the log.
const FAILED: &str =
    "The server failed while it carried out this request. The failure has been logged for its operators.";

/// The error of a call.
///
/// The agent reads the detail and may repeat it to a customer, so write full sentences that say what is wrong and what
/// to do instead. Put text that only the company may see into the source of [`Error::internal`] or [`Error::unknown`]: a
/// source is logged and never sent.
///
/// ```
/// use operator_runtime::Error;
///
/// fn find(order_id: u64) -> Result<(), Error> {
///     Err(Error::not_found(format!("There is no order {order_id}. Ask for the number on the receipt.")))
/// }
/// # assert!(find(7).is_err());
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    detail: Cow<'static, str>,
    inputs: Vec<InputProblem>,
    operation: Option<OperationId>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// One wrong input of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct InputProblem {
    pub(crate) input: String,
    pub(crate) detail: String,
}

/// A problem that an endpoint documents. `#[derive(OperatorError)]` generates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemSpec {
    /// The last part of the problem's type URI.
    pub kind: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The detail, with its placeholders.
    pub detail: &'static str,
    /// Whether the operation is released, so that a retry runs the handler again.
    pub retryable: bool,
}

impl ProblemSpec {
    /// A variant with `#[operator(unknown)]`. The endpoint's effect decides which problem the caller gets.
    pub const UNKNOWN: Self = Self {
        kind: "outcome-unknown",
        status: 500,
        detail: "It is unknown whether this operation took effect.",
        retryable: false,
    };

    /// [`Error::retryable`], or an unknown outcome of a handler that may run again.
    pub(crate) const TRY_AGAIN: Self = Self {
        kind: "try-again",
        status: 503,
        detail: "Temporarily not possible.",
        retryable: true,
    };
}

/// An error type that lists its problems. `#[derive(OperatorError)]` implements this trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not document its problems",
    label = "must derive `OperatorError`",
    note = "`errors(…)` takes only types that derive `OperatorError`"
)]
pub trait DocumentedError {
    /// The problems, in the order of the variants.
    const PROBLEMS: &'static [ProblemSpec];
}

/// The type of a field that the detail of an error shows with a placeholder, `{field}`.
#[diagnostic::on_unimplemented(
    message = "the detail of an error cannot show `{Self}`",
    label = "must be `Display`",
    note = "implement `std::fmt::Display` for the type, write `{{field:?}}` to show it with `Debug`, or leave the field out of the detail"
)]
pub trait ShownField {
    /// The field as a value that can be formatted.
    #[doc(hidden)]
    fn shown(&self) -> &dyn fmt::Display;
}

#[diagnostic::do_not_recommend]
impl<T: fmt::Display> ShownField for T {
    fn shown(&self) -> &dyn fmt::Display {
        self
    }
}

/// The problems that a handler can create with [`Error`], apart from the problems that every endpoint can answer with.
#[diagnostic::do_not_recommend]
impl DocumentedError for Error {
    const PROBLEMS: &'static [ProblemSpec] = &[
        ProblemSpec {
            kind: "not-found",
            status: 404,
            detail: "Not found.",
            retryable: false,
        },
        ProblemSpec {
            kind: "conflict",
            status: 409,
            detail: "Conflict with the current state.",
            retryable: false,
        },
        ProblemSpec::TRY_AGAIN,
    ];
}

/// Creates the error of one variant. The code that `#[derive(OperatorError)]` generates calls this function.
#[must_use]
pub fn problem(kind: &'static str, status: u16, retryable: bool, detail: String) -> Error {
    Error::new(Kind::Declared(kind, status, retryable), detail)
}

impl Error {
    pub(crate) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: detail.into(),
            inputs: Vec::new(),
            operation: None,
            source: None,
        }))
    }

    /// 404: what the caller asked for does not exist. `detail` says what to ask for instead.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::NotFound, detail)
    }

    /// 400: the input named `input` is not accepted. `detail` says which values are.
    pub fn invalid(input: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid_inputs(
            vec![InputProblem {
                input: input.into(),
                detail: detail.into(),
            }],
            "",
        )
    }

    /// 409: the current state does not allow the operation. The answer is stored and replayed to retries.
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Conflict, detail)
    }

    /// 503 with `Retry-After: 1`: nothing has happened yet, and a retry may succeed. The operation is released, so
    /// that a retry runs the handler again.
    pub fn retryable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Retryable, detail)
    }

    /// 500: something failed that the caller cannot fix. `source` is logged and never sent.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::caused(Kind::Internal, FAILED, source.into())
    }

    /// Another system may have acted, and the handler does not know whether it has: the payment provider took the
    /// request, and then the connection broke. `source` is logged and never sent.
    ///
    /// | the endpoint is | then |
    /// |---|---|
    /// | at most once | the outcome of the operation is unknown, as after a crash: the caller and its retries get 500 `outcome-unknown` with the number of the operation, until a person settles it |
    /// | `rerunnable` | the operation is released: the caller gets 503 with `Retry-After`, and a retry runs the handler again |
    /// | transactional | everything in the transaction is rolled back, so the outcome is known: the caller gets 500, and a retry runs the handler again |
    /// | `read_only` | nothing is recorded: the caller gets 500 |
    ///
    /// Use it only from the moment at which the other system may have acted:
    ///
    /// - If the other system has refused, its answer is known: return a 4xx or a 5xx.
    /// - If the request has not reached it, nothing has happened: return [`Error::retryable`].
    /// - If it recognizes a retry by an idempotency key, nobody has to be asked: declare the endpoint
    ///   `effect = rerunnable`, and pass [`Call::idempotency_key`](crate::Call::idempotency_key) on with each request. A
    ///   retry then finds out what happened.
    /// - A transactional handler should act only in its transaction, because nothing else that it does is rolled back.
    ///
    /// ```
    /// use operator_runtime::Error;
    /// # struct Line;
    /// # impl Line {
    /// #     async fn open() -> std::io::Result<Self> { Ok(Self) }
    /// #     async fn charge(&mut self, _cents: u32) -> std::io::Result<u64> { Ok(7) }
    /// # }
    ///
    /// async fn charge(cents: u32) -> Result<u64, Error> {
    ///     let away = "The payment provider cannot be reached, and nothing was charged. Send the call again.";
    ///     let mut provider = Line::open().await.map_err(|_| Error::retryable(away))?;
    ///     // From here on, an error does not say whether the card was charged.
    ///     provider.charge(cents).await.map_err(Error::unknown)
    /// }
    /// # let _ = charge(1);
    /// ```
    pub fn unknown(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::caused(Kind::OutcomeUnknown, ProblemSpec::UNKNOWN.detail, source.into())
    }

    /// 500: the handler's value cannot be serialized. The handler has already run to its end.
    pub(crate) fn unwritable(source: serde_json::Error) -> Self {
        Self::caused(Kind::Unwritable, FAILED, source.into())
    }

    fn caused(kind: Kind, detail: &'static str, source: Box<dyn StdError + Send + Sync>) -> Self {
        let mut error = Self::new(kind, detail);
        error.0.source = Some(source);
        error
    }

    /// 400: what is wrong with the inputs. `further` is a sentence about the problems that are not in `inputs`.
    pub(crate) fn invalid_inputs(inputs: Vec<InputProblem>, further: &str) -> Self {
        let mut detail = inputs
            .iter()
            .map(|problem| problem.detail.as_str())
            .collect::<Vec<_>>()
            .join(" ");
        detail.push_str(further);
        let mut error = Self::new(Kind::InvalidInput, detail);
        error.0.inputs = inputs;
        error
    }

    pub(crate) fn malformed(detail: String) -> Self {
        Self::new(Kind::Malformed, detail)
    }

    /// An extractor rejected the request, before the handler started. The body of a rejection is written for browsers
    /// and is not sent. A rejection below 400, such as a redirect, means nothing to the agent and becomes a 500.
    pub(crate) fn rejected(status: u16, extractor: &'static str) -> Self {
        let mut error = if (400..500).contains(&status) {
            let detail = "The server could not read what this endpoint needs from the request's headers.";
            Self::new(Kind::Rejected(status), detail)
        } else {
            let detail = "The server could not prepare this request and has not started it. Send the call again.";
            Self::new(Kind::Rejected(status.max(500)), detail)
        };
        error.0.source = Some(format!("the extractor {extractor} rejected the request with {status}").into());
        error
    }

    /// Adds the ID of the operation that a person has to look up.
    pub(crate) fn about(mut self, operation: OperationId) -> Self {
        self.0.operation = Some(operation);
        self
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.kind.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The text for the agent.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The source, which may be logged but not sent.
    pub(crate) fn cause(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }

    /// The answer that tells a caller of this error.
    pub(crate) fn to_response(&self) -> Response {
        Response {
            status: self.status(),
            content_type: PROBLEM_JSON.into(),
            body: self.to_body(),
        }
    }

    /// The problem as JSON (RFC 9457 §3.1).
    pub(crate) fn to_body(&self) -> Bytes {
        #[derive(Serialize)]
        struct Problem<'e> {
            r#type: String,
            title: &'e str,
            status: u16,
            detail: &'e str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            errors: &'e [InputProblem],
            #[serde(skip_serializing_if = "Option::is_none")]
            operation: Option<String>,
        }
        let row = self.0.kind.row();
        let problem = Problem {
            r#type: type_uri(row.slug),
            title: row.title,
            status: row.status,
            detail: &self.0.detail,
            errors: &self.0.inputs,
            operation: self.0.operation.map(|operation| operation.to_string()),
        };
        // A boxed slice has no spare capacity, which would stay allocated if the body is stored.
        serde_json::to_vec(&problem)
            .unwrap_or_default()
            .into_boxed_slice()
            .into()
    }
}

const TYPE: &str = "urn:operator:problem:";

/// The `type` of a problem (RFC 9457 §3.1.1).
pub(crate) fn type_uri(slug: &str) -> String {
    format!("{TYPE}{slug}")
}

/// The last part of a problem's `type`.
#[cfg(feature = "cli")]
pub(crate) fn slug_of(type_uri: &str) -> Option<&str> {
    type_uri.strip_prefix(TYPE)
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.detail)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("detail", &self.0.detail)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
