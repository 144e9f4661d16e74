//! Serves one endpoint over HTTP: checks the method, reads the body, and writes the answer's headers.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;

use super::Assembled;
#[cfg(feature = "tls")]
use super::probes;
use super::reading::Reading;
use super::router::with_id;
use crate::pipeline::events::Handlers;
#[cfg(feature = "tls")]
use crate::pipeline::not_verified;
use crate::pipeline::prepared::PreparedEndpoint;
use crate::pipeline::reply::Reply;
use crate::problem::{Error, Kind};
use crate::protocol::method::Method;
use crate::protocol::request_id;

/// An endpoint and the app that serves it.
pub(super) struct Served {
    endpoint: Arc<PreparedEndpoint>,
    /// Keeps the app's background tasks alive while this service exists.
    assembled: Arc<Assembled>,
}

impl Served {
    /// Each endpoint of the app with the paths at which it answers: its own path, and, if the public URL has a base
    /// path, the base path followed by its own path.
    pub(super) fn all(assembled: &Arc<Assembled>) -> impl Iterator<Item = (Vec<String>, Arc<Self>)> {
        assembled.endpoints.iter().map(|endpoint| {
            let path = endpoint.path;
            let mut paths = vec![path.to_owned()];
            let public_url = &assembled.settings.public_url;
            if !public_url.base_path().is_empty() {
                paths.push(public_url.published_path(path));
            }
            let served = Self {
                endpoint: Arc::clone(endpoint),
                assembled: Arc::clone(assembled),
            };
            (paths, Arc::new(served))
        })
    }

    /// Whether an axum extractor of the endpoint reads the request's head.
    pub(super) fn extracts(&self) -> bool {
        let of_events = self.endpoint.events.as_ref();
        self.endpoint.arguments.extracts() || of_events.is_some_and(Handlers::extract)
    }

    pub(super) fn method(&self) -> Method {
        self.endpoint.endpoint.method
    }

    /// Answers a request. The request gets an id before anything else reads the request, and the answer has that id.
    pub(super) fn identified<B>(
        self: Arc<Self>,
        mut request: Request<B>,
    ) -> impl Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + use<B>
    where
        B: Body<Data = Bytes> + Send + Unpin,
    {
        let id = request_id::identify(request.headers_mut());
        let (head, body) = request.into_parts();
        let mut reading = Reading::of(body);
        async move {
            let Self { endpoint, assembled } = &*self;
            let pipeline = &assembled.pipeline;
            if head.method.as_str() != endpoint.endpoint.method.as_str() {
                let refused = method_not_allowed(&head, endpoint.endpoint.method.as_str());
                return Ok(with_id(refused, id));
            }
            let reply = match reading.finish(assembled.settings.limits, &assembled.room).await {
                Ok((body, room)) => pipeline.answer(endpoint, head, body, room).await,
                Err(error) => turned_away(&head.method, head.uri.path(), &head.headers, &error),
            };
            Ok(with_id(respond(reply), id))
        }
    }
}

/// The answer to a path that has no endpoint.
pub(super) fn no_such_path(head: &Parts) -> Response<Full<Bytes>> {
    let detail = format!(
        "There is no endpoint at {}; the manifest lists the endpoints.",
        head.uri.path()
    );
    let error = Error::new(Kind::NoSuchPath, detail);
    respond(turned_away(&head.method, head.uri.path(), &head.headers, &error))
}

/// The answer to a request whose client has no valid certificate, if this server asks for certificates. Only the probes
/// need none. A call's certificate is checked again with its credential, which may change while the body arrives.
#[cfg(feature = "tls")]
pub(super) fn uncertified<B>(assembled: &Assembled, request: &Request<B>) -> Option<Response<Full<Bytes>>> {
    let credentials = assembled.credentials.load();
    let checked = assembled.pipeline.check_certificate(&credentials, request.extensions());
    let refusal = checked.err()?;
    let (path, public_url) = (request.uri().path(), &assembled.settings.public_url);
    if probes::PATHS.contains(&path) {
        return None;
    }
    let mut endpoints = assembled.endpoints.iter();
    let reply = match endpoints.find(|at| path == at.path || path == public_url.published_path(at.path)) {
        Some(endpoint) => not_verified(endpoint, refusal.into(), request.headers()),
        None => {
            let challenge = credentials.challenge(&refusal, "endpoints", "");
            let mut reply = turned_away(request.method(), path, request.headers(), &refusal.into());
            reply.challenge = challenge.map(Into::into);
            reply
        }
    };
    Some(respond(reply))
}

/// Logs and answers a request that does not reach the pipeline. The pipeline logs all other requests.
fn turned_away(method: &http::Method, path: &str, headers: &HeaderMap, error: &Error) -> Reply {
    let path: String = path.chars().take(200).collect();
    tracing::warn!(
        %method,
        path,
        status = error.status().as_u16(),
        reason = error.detail(),
        request_id = request_id::of(headers),
        "refused"
    );
    Reply::from_error(error)
}

fn method_not_allowed(head: &Parts, allowed: &'static str) -> Response<Full<Bytes>> {
    let detail = format!("This endpoint answers only {allowed}: send a {allowed} request.");
    let error = Error::new(Kind::MethodNotAllowed, detail);
    let mut response = respond(turned_away(&head.method, head.uri.path(), &head.headers, &error));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Turns a reply into an HTTP response.
pub(super) fn respond(reply: Reply) -> Response<Full<Bytes>> {
    const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
    let retry_after = reply.retry_after();
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type(reply.content_type));
    if reply.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(challenge) = reply.challenge.and_then(|text| HeaderValue::try_from(&*text).ok()) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn content_type(text: Cow<'static, str>) -> HeaderValue {
    let json = HeaderValue::from_static("application/json");
    match text {
        Cow::Borrowed(text) => HeaderValue::from_static(text),
        Cow::Owned(text) => HeaderValue::try_from(text).unwrap_or(json),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::Served;

    /// glibc caches freed blocks of up to 1,032 bytes, and an axum route allocates this future together with one more
    /// word. Behind `serve`, each connection stores one such future.
    #[test]
    fn the_future_of_a_call_fits_a_cached_allocation() {
        let size = of_future(Served::identified::<Body>);
        assert!(size <= 1024, "the future of a call has grown to {size} bytes");
    }

    fn of_future<A, B, F>(_call: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }
}
