//! Errors: one opaque type outside, one table from kind to status inside, and the wire form of RFC 9457.

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
use crate::record::operation::OperationId;

/// The media type of an error (RFC 9457 §3).
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// Why a call was not answered with a value.
///
/// Its text is for the agent, who may repeat it to a customer: full sentences that say what is wrong and what would be
/// right. What only the company should see goes into the source of [`Error::internal`], which is logged and never sent.
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

/// An error that an endpoint documents, made by `#[derive(OperatorError)]`.
#[derive(Clone, Copy, Debug)]
pub struct ProblemSpec {
    /// The last part of the problem's type.
    pub kind: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The sentence, with its placeholders.
    pub detail: &'static str,
    /// Whether the operation is released for another try.
    pub retryable: bool,
}

/// An error type that lists its problems: what `#[derive(OperatorError)]` implements.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not document its problems",
    label = "must derive `OperatorError`",
    note = "`errors(…)` takes only types that derive `OperatorError`"
)]
pub trait DocumentedError {
    /// The problems, in the order of the variants.
    const PROBLEMS: &'static [ProblemSpec];
}

/// A field that the sentence of an error shows, `{field}`.
#[diagnostic::on_unimplemented(
    message = "the detail of an error cannot show `{Self}`",
    label = "must be `Display`",
    note = "implement `std::fmt::Display` for the type, write `{{field:?}}` to show it with `Debug`, or leave the field out of the detail"
)]
pub trait ShownField {
    /// The field, to be formatted.
    #[doc(hidden)]
    fn shown(&self) -> &dyn fmt::Display;
}

#[diagnostic::do_not_recommend]
impl<T: fmt::Display> ShownField for T {
    fn shown(&self) -> &dyn fmt::Display {
        self
    }
}

/// What a handler can make by hand, beyond what every endpoint answers with.
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
            detail: "In conflict with the present state.",
            retryable: false,
        },
        ProblemSpec {
            kind: "try-again",
            status: 503,
            detail: "Not possible at this moment.",
            retryable: true,
        },
    ];
}

/// Used by `#[derive(OperatorError)]`.
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

    /// 404: what the caller asked about does not exist. `detail` says what would.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::NotFound, detail)
    }

    /// 400: the input of this name cannot be accepted. `detail` says what could.
    pub fn invalid(input: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid_inputs(
            vec![InputProblem {
                input: input.into(),
                detail: detail.into(),
            }],
            0,
        )
    }

    /// 409: the present state does not allow it. The answer is kept; retries get it again.
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Conflict, detail)
    }

    /// 503 with `Retry-After: 1`: nothing has happened yet, and a later try may succeed. The operation is released.
    pub fn retryable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Retryable, detail)
    }

    /// 500: something failed that the caller cannot mend. `source` goes to the log and is never sent.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::failed(Kind::Internal, source.into())
    }

    /// What the handler returned cannot be written, though all that it does is done.
    pub(crate) fn unwritable(source: serde_json::Error) -> Self {
        Self::failed(Kind::Unwritable, source.into())
    }

    fn failed(kind: Kind, source: Box<dyn StdError + Send + Sync>) -> Self {
        let mut error = Self::new(
            kind,
            "The server failed while it carried out this request. The failure has been logged for its operators.",
        );
        error.0.source = Some(source);
        error
    }

    /// 400: what is wrong with the inputs, and how many more problems there are that are not told.
    pub(crate) fn invalid_inputs(inputs: Vec<InputProblem>, more: usize) -> Self {
        let mut detail = inputs
            .iter()
            .map(|problem| problem.detail.as_str())
            .collect::<Vec<_>>()
            .join(" ");
        if more > 0 {
            detail.push_str(&format!(" And {more} more."));
        }
        let mut error = Self::new(Kind::InvalidInput, detail);
        error.0.inputs = inputs;
        error
    }

    pub(crate) fn malformed(detail: String) -> Self {
        Self::new(Kind::Malformed, detail)
    }

    /// From an extractor, so before the handler has begun. What it says is for browsers, or for nobody, where it is no
    /// error: a redirection has no place in an answer to the agent.
    pub(crate) fn rejected(status: u16, extractor: &'static str) -> Self {
        let mut error = if (400..500).contains(&status) {
            let detail = "The server could not take what this endpoint needs from the request's headers.";
            Self::new(Kind::Rejected(status), detail)
        } else {
            let detail = "The server could not get ready for this request, and has not begun it. Send it again.";
            Self::new(Kind::Rejected(status.max(500)), detail)
        };
        error.0.source = Some(format!("the extractor {extractor} rejected the request with {status}").into());
        error
    }

    /// With the operation that a person is to look up.
    pub(crate) fn about(mut self, operation: OperationId) -> Self {
        self.0.operation = Some(operation);
        self
    }

    /// The HTTP status it is sent with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.kind.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What the agent reads.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What only the log may see.
    pub(crate) fn cause(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }

    /// The body (RFC 9457 §3.1).
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
        // A boxed slice, because bytes that are kept may have no spare capacity.
        serde_json::to_vec(&problem)
            .unwrap_or_default()
            .into_boxed_slice()
            .into()
    }
}

/// The `type` of a problem (RFC 9457 §3.1.1).
pub(crate) fn type_uri(slug: &str) -> String {
    format!("urn:operator:problem:{slug}")
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
