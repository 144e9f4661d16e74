//! Requests before and after verification: `Unverified` has no accessor for its content, `Verified` has no constructor.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderValue};

use super::caller::{Caller, Refused};
use super::credentials::{Accepted, BoundCredentials};
use super::envelope::{Credential, Envelope, Header, Headers};
use super::freshness;
pub(crate) use super::parameters::Parameters;
use super::python_json;
pub(crate) use super::refusal::{Mistake, Refusal, RefusalKind};
use super::secrets::KeyName;
use crate::protocol::method::Method;

/// A well-formed request whose caller is not verified yet.
#[derive(Debug)]
pub(crate) struct Unverified<'h> {
    envelope: Envelope<'h>,
    content_type: Option<&'h HeaderValue>,
    /// `None` if a parameter is not UTF-8, so that the signed payload cannot be computed.
    content: Option<Content>,
    mistake: Option<Mistake>,
}

/// A request whose caller is verified.
///
/// Only verification makes a `Verified`. A `Verified` borrows from the request's headers, so that no header is copied
/// for a call whose handler does not run.
#[derive(Debug)]
pub(crate) struct Verified<'h> {
    idempotency_key: Option<&'h HeaderValue>,
    timestamp: u64,
    caller: Caller,
    content_type: Option<&'h HeaderValue>,
    content: Content,
}

/// The part of a verified request that a handler can use.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    idempotency_key: Option<HeaderValue>,
    timestamp: u64,
    caller: Caller,
    content: Content,
}

/// The content of a request, which a signature covers.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// The parameters of a GET.
    Parameters(Parameters),
    /// The body of a POST, or the arguments of a tool call to an endpoint of either method: one JSON object.
    Body(Bytes),
}

impl<'h> Unverified<'h> {
    pub(crate) fn parse(
        method: Method,
        query: Option<&str>,
        headers: &'h HeaderMap,
        body: Bytes,
        accepted: Accepted,
    ) -> Result<Self, Refusal> {
        let headers = Headers::find(headers);
        let envelope = Envelope::parse(&headers, accepted)?;
        if headers.encoded {
            return Err(Refusal::ContentEncoding);
        }
        let content_type = content_type(method, headers.content_type)?;
        let mut mistake = envelope.mistake;
        let content = match method {
            Method::Get => {
                mistake = mistake.or_else(|| (!body.is_empty()).then_some(Mistake::BodyOnGet));
                Parameters::decode(query.unwrap_or_default())
                    .ok()
                    .map(|(parameters, twice)| {
                        mistake = mistake.or_else(|| twice.then_some(Mistake::ParameterTwice));
                        Content::Parameters(parameters)
                    })
            }
            Method::Post => {
                mistake = mistake.or_else(|| query.is_some().then_some(Mistake::QueryOnPost));
                Some(Content::Body(body))
            }
        };
        Ok(Self {
            envelope,
            content_type,
            content,
            mistake,
        })
    }

    /// Verifies the caller, and then reports the mistakes that only a verified caller may see. `connection` has the
    /// client's certificate, if there is one. `now` is in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// Why the caller is not verified; or the caller, and its mistake.
    pub(crate) fn verify(
        self,
        credentials: &BoundCredentials,
        connection: &Extensions,
        now: u64,
    ) -> Result<Verified<'h>, Refused> {
        let certified = credentials.all().certified(connection, now)?;
        let (caller, timestamp, content) = match &self.envelope.credential {
            Credential::Signature(signed) => {
                let timestamp = signed.timestamp;
                if let Some(seconds) = freshness::staleness(timestamp, now) {
                    let refusal = match freshness::staleness(timestamp / 1000, now) {
                        None => Refusal::Milliseconds,
                        Some(_) => Refusal::Stale(seconds),
                    };
                    return Err(refusal.into());
                }
                let content = self.content.ok_or(Refusal::ParameterNotUtf8)?;
                let caller = credentials.signer(signed, &content.signed());
                let caller = caller.map_err(|refusal| content.name_parameters(refusal))?;
                (caller, timestamp, Some(content))
            }
            Credential::Nothing => {
                let caller = certified.ok_or_else(|| Refusal::NoCredential(credentials.accepted()))?;
                (caller, now, self.content)
            }
            Credential::Token(token) => {
                let caller = credentials.all().holder(token, now)?;
                (caller, now, self.content)
            }
        };
        match (content, self.mistake) {
            (Some(content), None) => Ok(Verified {
                idempotency_key: self.envelope.idempotency_key,
                timestamp,
                caller,
                content_type: self.content_type,
                content,
            }),
            (None, _) => Err(Refused::of(caller, Refusal::ParameterNotUtf8)),
            (Some(_), Some(mistake)) => Err(Refused::of(caller, Refusal::Mistake(mistake))),
        }
    }
}

impl Content {
    /// The bytes that were signed.
    fn signed(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Parameters(parameters) => Cow::Owned(python_json::encode(parameters.iter())),
            Self::Body(body) => Cow::Borrowed(body),
        }
    }

    /// Adds the names of the parameters to a refusal of their signature, so that the caller sees what is signed: for a
    /// GET, this is not the text of the query.
    fn name_parameters(&self, mut refusal: Refusal) -> Refusal {
        /// The largest number of names, and of characters of a name, so that the answer is short.
        const MOST: usize = 20;
        const LONGEST: usize = 64;
        if let (Self::Parameters(given), Refusal::Signature { parameters, .. }) = (self, &mut refusal) {
            let quoted = |name: &str| match name.char_indices().nth(LONGEST) {
                Some((end, _)) => format!("{:?}…", &name[..end]),
                None => format!("{name:?}"),
            };
            let mut names: Vec<String> = given.iter().take(MOST).map(|(name, _)| quoted(name)).collect();
            let more = given.iter().count() - names.len();
            if more > 0 {
                names.push(format!("and {more} more"));
            }
            *parameters = Some(names);
        }
        refusal
    }
}

impl<'h> Verified<'h> {
    /// Makes the request of a caller with a bearer token. Only the module `bearer` calls this function.
    #[cfg(feature = "mcp")]
    pub(super) fn of_bearer(
        caller: Caller,
        idempotency_key: Option<&'h HeaderValue>,
        arguments: Bytes,
        now: u64,
    ) -> Self {
        static JSON: HeaderValue = HeaderValue::from_static("application/json");
        Self {
            idempotency_key,
            timestamp: now,
            caller,
            content_type: Some(&JSON),
            content: Content::Body(arguments),
        }
    }

    /// The caller's key for the operation, if the caller sent one. Signed requests always have one.
    pub(crate) fn idempotency_key(&self) -> Option<&'h str> {
        self.idempotency_key.map(text)
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn key(&self) -> &KeyName {
        self.caller.name()
    }

    /// The content type as received; empty if there is none.
    pub(crate) fn content_type(&self) -> &'h str {
        self.content_type.map(text).unwrap_or_default()
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    /// The raw body; empty for a GET.
    pub(crate) fn body(&self) -> &[u8] {
        match &self.content {
            Content::Body(body) => body,
            Content::Parameters(_) => b"",
        }
    }

    /// Returns the part of the request that a handler needs, as an owned value: the handler may outlive the request.
    pub(crate) fn keep(self) -> Kept {
        Kept {
            idempotency_key: self.idempotency_key.cloned(),
            timestamp: self.timestamp,
            caller: self.caller,
            content: self.content,
        }
    }
}

impl Kept {
    /// The caller's key for the operation; empty if the caller sent none.
    pub(crate) fn idempotency_key(&self) -> &str {
        self.idempotency_key.as_ref().map(text).unwrap_or_default()
    }

    pub(crate) fn timestamp(&self) -> u64 {
        self.timestamp
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn key(&self) -> &KeyName {
        self.caller.name()
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }
}

/// The text of a header of a verified request, which consists of visible ASCII.
fn text(value: &HeaderValue) -> &str {
    // This is faster than `to_str`, which checks byte by byte.
    str::from_utf8(value.as_bytes()).unwrap_or_default()
}

fn content_type(method: Method, header: Header<'_>) -> Result<Option<&HeaderValue>, Refusal> {
    match (method, header) {
        // A GET has no body, so its content type is ignored.
        (Method::Get, _) | (Method::Post, Header::Missing) => Ok(None),
        (Method::Post, Header::Once(value)) if value.to_str().is_ok_and(is_json_in_utf8) => Ok(Some(value)),
        (Method::Post, Header::Once(_) | Header::Twice) => Err(Refusal::ContentType),
    }
}

/// Whether a content type is `application/json` or `application/*+json` (RFC 6839 §3.1), and its charset, if any, is
/// UTF-8.
pub(crate) fn is_json_in_utf8(content_type: &str) -> bool {
    // What nearly every request has.
    if content_type == "application/json" {
        return true;
    }
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let json = essence.eq_ignore_ascii_case("application/json") || is_json_suffixed(&essence.to_ascii_lowercase());
    json && parts.all(|parameter| {
        parameter.split_once('=').is_none_or(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
    })
}

fn is_json_suffixed(essence: &str) -> bool {
    essence
        .strip_prefix("application/")
        .and_then(|subtype| subtype.strip_suffix("+json"))
        .is_some_and(|name| !name.is_empty() && !name.contains('/'))
}
