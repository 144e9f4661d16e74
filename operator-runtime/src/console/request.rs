//! A pasted request, parsed by the same code that parses the server's requests.

use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue};

use super::mistakes::{Mistake, Parts, Seen, mistakes};
use super::pasted::Pasted;
use crate::endpoint::Endpoint;
use crate::input::nearest;
use crate::pipeline::prepared::PreparedEndpoint;
use crate::protocol::credentials::Accepted;
use crate::protocol::envelope::parse_hex;
use crate::protocol::method::Method;
use crate::protocol::parameters::Parameters;
use crate::protocol::public_url::PublicUrl;
use crate::protocol::request::{Refusal, Unverified};
use crate::protocol::signature::{Keys, content_of_parameters};

/// The parts of this server that the comparison needs.
pub(crate) struct Server<'s> {
    pub(crate) public_url: &'s PublicUrl,
    pub(crate) endpoints: &'s [Arc<PreparedEndpoint>],
    pub(crate) keys: &'s Keys,
    /// Seconds since 1970-01-01 UTC.
    pub(crate) now: u64,
}

/// The message about a request that this page cannot check.
const ED25519: &str = "X-Signature has 128 hexadecimal digits, so it is an Ed25519 signature, and this page compares only HMAC signatures, which have 64: check the payload with the caller's public key, for example with `openssl pkeyutl -verify -rawin`.";

/// A complete pasted request.
pub(super) struct Request {
    /// The parts that this server signs for the request.
    pub(super) right: Parts,
    pub(super) signature: [u8; 32],
    /// Why the request is refused whatever its signature: its timestamp is too old or too far in the future.
    pub(super) stale: Option<String>,
    /// What the caller may have signed instead of the right parts.
    pub(super) mistakes: Vec<Mistake>,
}

impl Request {
    /// Parses the text as the server parses a request. An error is a message that says what is missing or refused.
    pub(super) fn read(text: &str, server: &Server<'_>) -> Result<Self, String> {
        let pasted = Pasted::read(text)?;
        let target = pasted.target.as_deref().ok_or(
            "The request's first line is missing: paste a curl command, or the request as it was sent, starting with `GET /…` or `POST /…`.",
        )?;
        let (origin, path, query) = split_url(target);
        let bound = find(path, server)?;
        let endpoint = bound.endpoint;
        let method = endpoint.method;
        only(endpoint, pasted.method.as_deref())?;
        let headers = headers(&pasted.headers)?;
        let signature = headers.get("x-signature").map(HeaderValue::as_bytes);
        if signature.and_then(parse_hex::<64>).is_some() {
            return Err(ED25519.to_owned());
        }
        let stale = refused(bound, query, &headers, &pasted.body, server.now)?;
        let header = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let query = query.unwrap_or_default();
        let (parameters, content) = match method {
            Method::Get => {
                let parameters = parameters(query)?;
                let content = content_of_parameters(&parameters);
                (parameters, content)
            }
            Method::Post => (Vec::new(), pasted.body),
        };
        let right = Parts {
            url: server.public_url.published(bound.path),
            idempotency_key: header("x-idempotency-key").to_owned(),
            timestamp: header("x-timestamp").to_owned(),
            content,
        };
        let seen = Seen {
            method,
            origin,
            path,
            query,
            parameters: &parameters,
        };
        Ok(Self {
            signature: parse_hex(header("x-signature").as_bytes())
                .ok_or_else(|| Refusal::SignatureShape(Accepted::default()).to_string())?,
            stale,
            mistakes: mistakes(&right, &seen),
            right,
        })
    }
}

fn only(endpoint: &Endpoint, method: Option<&str>) -> Result<(), String> {
    let right = endpoint.method;
    if method == Some(right.as_str()) {
        Ok(())
    } else {
        Err(format!(
            "The endpoint `{}` answers only {right}: send a {right} request.",
            endpoint.name
        ))
    }
}

/// Returns an error if the server refuses the request before it checks the signature, and the refusal as `Some` if only
/// the timestamp is refused.
fn refused(
    bound: &PreparedEndpoint,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &str,
    now: u64,
) -> Result<Option<String>, String> {
    let credentials = bound.credentials.load();
    let body = Bytes::from(body.to_owned());
    let verified =
        Unverified::parse(bound.endpoint.method, query, headers, body, credentials.accepted()).and_then(|unverified| {
            unverified
                .verify(&credentials, &Extensions::new(), now)
                .map_err(|refused| refused.why)
        });
    match verified {
        Ok(_) | Err(Refusal::Signature { .. }) => Ok(None),
        Err(stale @ (Refusal::Stale(_) | Refusal::Milliseconds)) => Ok(Some(stale.to_string())),
        Err(other) => Err(other.to_string()),
    }
}

/// Splits a URL or path into scheme and host, path, and query.
fn split_url(target: &str) -> (Option<&str>, &str, Option<&str>) {
    let (address, query) = match target.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (target, None),
    };
    let authority = address.find("://").map_or(0, |scheme| scheme + 3);
    if authority == 0 {
        return (None, address, query);
    }
    let path = address[authority..]
        .find('/')
        .map_or(address.len(), |at| authority + at);
    (Some(&address[..path]), &address[path..], query)
}

fn find<'s>(path: &str, server: &'s Server<'_>) -> Result<&'s PreparedEndpoint, String> {
    let below = path
        .strip_prefix(server.public_url.base_path())
        .filter(|below| below.starts_with('/'))
        .unwrap_or(path);
    let named = |path: &str| server.endpoints.iter().find(|bound| bound.path == path);
    if let Some(bound) = named(below).or_else(|| named(path)) {
        return Ok(bound);
    }
    let paths = server.endpoints.iter().map(|bound| bound.path);
    Err(match nearest(below, paths) {
        Some(near) => format!("There is no endpoint at `{path}`; did you mean `{near}`?"),
        None => format!("There is no endpoint at `{path}`."),
    })
}

fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            return Err(format!(
                "`{name}: {value}` is not a valid HTTP header: copy the header as it was sent."
            ));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

fn parameters(query: &str) -> Result<Vec<(String, String)>, String> {
    let (parameters, _) = Parameters::decode(query).map_err(|_| Refusal::ParameterNotUtf8.to_string())?;
    let pairs = parameters.iter();
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}
