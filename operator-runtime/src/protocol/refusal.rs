//! Why a request is refused, in words that help a legitimate caller but not an attacker.

use std::fmt;

use super::credentials::Accepted;
use super::freshness::TOLERANCE;

/// The reason why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    HeaderMissing(&'static str),
    HeaderTwice(&'static str),
    Timestamp,
    SignatureShape(Accepted),
    /// The request has no credential that this server reads.
    NoCredential(Accepted),
    TwoCredentials,
    /// The request has a credential of a kind for which the server has none.
    NotAccepted(&'static str, Accepted),
    /// `Authorization: Bearer` without a token.
    Authorization,
    UnknownApiKey,
    /// An access token that is not valid for this server, and why.
    #[cfg(feature = "oauth")]
    AccessToken(String),
    /// The issuer's keys are not known, so no access token can be checked.
    #[cfg(feature = "oauth")]
    NoIssuer,
    /// The connection's client certificate does not vouch for anybody, and why.
    #[cfg(feature = "tls")]
    Certificate(String),
    /// The certificate is valid, but belongs to nobody whom the server knows.
    #[cfg(feature = "tls")]
    UnknownCertificate(String),
    /// The access token lacks the scope that the endpoint needs. `wanted` are the scopes of a token that would be
    /// enough.
    Scope {
        lacking: &'static str,
        wanted: String,
    },
    ContentEncoding,
    ContentType,
    /// The timestamp's difference from the server's clock in seconds; negative if the timestamp is behind the clock.
    Stale(i128),
    /// The timestamp would be fresh if it were in milliseconds.
    Milliseconds,
    /// The caller sees the URL and the names of the parameters; only the log has the payload's length and SHA-256.
    Signature {
        url: String,
        /// The names of the parameters of a GET as they are signed; `None` for a POST.
        parameters: Option<Vec<String>>,
        payload_length: usize,
        payload_sha256: String,
    },
    ParameterNotUtf8,
    Mistake(Mistake),
}

/// A mistake that is reported only to a caller that is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    IdempotencyKey,
    TwoIdempotencyKeys,
    BodyOnGet,
    QueryOnPost,
    ParameterTwice,
}

/// The kind of a refusal. `problem/kind.rs` has its type, status and title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    MalformedSignature,
    NoCredential,
    TwoCredentials,
    UnknownApiKey,
    #[cfg(feature = "oauth")]
    InvalidToken,
    #[cfg(feature = "oauth")]
    IssuerUnreachable,
    #[cfg(feature = "tls")]
    InvalidCertificate,
    #[cfg(feature = "tls")]
    UnknownCertificate,
    InsufficientScope,
    StaleTimestamp,
    SignatureMismatch,
    UnsupportedMediaType,
    Malformed,
}

impl RefusalKind {
    /// Whether the refusal is about who calls, not about the form of the call.
    pub(crate) fn is_of_caller(self) -> bool {
        match self {
            Self::MalformedSignature
            | Self::NoCredential
            | Self::TwoCredentials
            | Self::UnknownApiKey
            | Self::InsufficientScope
            | Self::StaleTimestamp
            | Self::SignatureMismatch => true,
            #[cfg(feature = "oauth")]
            Self::InvalidToken => true,
            #[cfg(feature = "tls")]
            Self::InvalidCertificate | Self::UnknownCertificate => true,
            #[cfg(feature = "oauth")]
            Self::IssuerUnreachable => false,
            Self::UnsupportedMediaType | Self::Malformed => false,
        }
    }
}

impl Refusal {
    pub(crate) fn kind(&self) -> RefusalKind {
        use RefusalKind as K;
        match self {
            Self::HeaderMissing(_) | Self::HeaderTwice(_) | Self::Timestamp | Self::SignatureShape(_) => {
                K::MalformedSignature
            }
            Self::NoCredential(_) | Self::NotAccepted(..) | Self::Authorization => K::NoCredential,
            Self::TwoCredentials => K::TwoCredentials,
            Self::UnknownApiKey => K::UnknownApiKey,
            #[cfg(feature = "oauth")]
            Self::AccessToken(_) => K::InvalidToken,
            #[cfg(feature = "oauth")]
            Self::NoIssuer => K::IssuerUnreachable,
            #[cfg(feature = "tls")]
            Self::Certificate(_) => K::InvalidCertificate,
            #[cfg(feature = "tls")]
            Self::UnknownCertificate(_) => K::UnknownCertificate,
            Self::Scope { .. } => K::InsufficientScope,
            Self::Stale(_) | Self::Milliseconds => K::StaleTimestamp,
            Self::Signature { .. } => K::SignatureMismatch,
            Self::ContentEncoding | Self::ContentType => K::UnsupportedMediaType,
            Self::Mistake(_) | Self::ParameterNotUtf8 => K::Malformed,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeaderMissing(name) => write!(
                formatter,
                "The header {name} is missing: send it exactly once."
            ),
            Self::HeaderTwice(name) => write!(
                formatter,
                "The header {name} is given more than once: send it exactly once."
            ),
            Self::Timestamp => formatter
                .write_str("X-Timestamp must be whole seconds since 1970-01-01 UTC: 1 to 15 digits and nothing else."),
            Self::SignatureShape(accepted) => formatter.write_str(match (accepted.hmac, accepted.ed25519) {
                (_, false) => "X-Signature must be 64 hexadecimal digits, the HMAC-SHA256 of the payload.",
                (false, true) => "X-Signature must be 128 hexadecimal digits, the Ed25519 signature of the payload.",
                (true, true) => {
                    "X-Signature must be 64 hexadecimal digits, the HMAC-SHA256 of the payload, or 128 hexadecimal digits, its Ed25519 signature."
                }
            }),
            Self::NoCredential(accepted) => write!(formatter, "The request does not show who sends it: {accepted}."),
            Self::TwoCredentials => formatter.write_str(
                "The request has two credentials: send only one of a signature, `Authorization: Bearer …` and `X-API-Key`.",
            ),
            Self::NotAccepted(what, accepted) => {
                write!(formatter, "This server does not accept {what}: {accepted}.")
            }
            Self::Authorization => formatter
                .write_str("The header Authorization has no token: send it once, as `Authorization: Bearer TOKEN`."),
            Self::UnknownApiKey => {
                formatter.write_str("The API key is not valid for this server: check it, and whether it was replaced.")
            }
            #[cfg(feature = "oauth")]
            Self::AccessToken(why) => write!(formatter, "The access token {why}."),
            #[cfg(feature = "oauth")]
            Self::NoIssuer => formatter.write_str(
                "The server cannot check access tokens now, because it cannot fetch the keys of their issuer. Send the call again.",
            ),
            #[cfg(feature = "tls")]
            Self::Certificate(why) => write!(formatter, "The client certificate {why}."),
            #[cfg(feature = "tls")]
            Self::UnknownCertificate(names) => write!(
                formatter,
                "The client certificate is valid, but belongs to no client of this server ({names}): use the certificate that the server's operators know."
            ),
            Self::Scope { lacking, .. } => write!(
                formatter,
                "The access token lacks the scope `{lacking}`, which this endpoint needs: ask the issuer for a token with that scope."
            ),
            Self::ContentEncoding => {
                formatter.write_str("The body must not be compressed: send it without Content-Encoding.")
            }
            Self::ContentType => {
                formatter.write_str("The body must be JSON in UTF-8: send it with Content-Type: application/json.")
            }
            Self::Stale(seconds) => {
                let side = if *seconds > 0 { "ahead of" } else { "behind" };
                let seconds = seconds.unsigned_abs();
                write!(
                    formatter,
                    "X-Timestamp is {seconds} s {side} the server's clock, and at most {TOLERANCE} s are accepted: sign each attempt with the current time, and check the caller's clock."
                )
            }
            Self::Milliseconds => formatter
                .write_str("X-Timestamp is in milliseconds: sign and send whole seconds since 1970-01-01 UTC."),
            Self::Signature { url, parameters, .. } => {
                write!(formatter, "X-Signature does not match: sign the URL {url} without a query and ")?;
                match parameters.as_deref() {
                    None => formatter.write_str("exactly the bytes that you send")?,
                    Some([]) => formatter.write_str("the text `{}`, because there are no search parameters")?,
                    Some(names) => write!(
                        formatter,
                        "the search parameters as a JSON object with the keys {}, in this order",
                        names.join(", ")
                    )?,
                }
                formatter.write_str(", and check the signing key.")
            }
            Self::ParameterNotUtf8 => {
                formatter.write_str("A search parameter is not UTF-8 after percent-decoding: encode its text as UTF-8 before percent-encoding.")
            }
            Self::Mistake(mistake) => formatter.write_str(match mistake {
                Mistake::IdempotencyKey => {
                    "X-Idempotency-Key must be 1 to 255 visible ASCII characters without a colon."
                }
                Mistake::TwoIdempotencyKeys => {
                    "X-Idempotency-Key and Idempotency-Key have different values: send one of them, or the same value in both."
                }
                Mistake::BodyOnGet => "A GET must not have a body: send its inputs as search parameters.",
                Mistake::QueryOnPost => {
                    "A POST must not have search parameters, not even a bare `?`: send its inputs as the JSON body."
                }
                Mistake::ParameterTwice => "A search parameter is given twice: give each parameter once.",
            }),
        }
    }
}
