//! HTTP to the pipeline and back: size and time of a request, methods, unknown paths, and the answer's headers.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body::Body as _;
use tower::service_fn;

use super::{Assembled, Limits};
use crate::bound::BoundEndpoint;
use crate::pipeline::Pipeline;
use crate::problem::{Error, Kind};
use crate::reply::Reply;

/// A route for each endpoint, at its path and below the public URL's base path.
pub(crate) fn router(assembled: &Arc<Assembled>) -> Router {
    let mut router = Router::new();
    for endpoint in &assembled.endpoints {
        // One handle, because axum clones a service for each request.
        let served = Arc::new(Served {
            endpoint: Arc::clone(endpoint),
            pipeline: Arc::clone(&assembled.pipeline),
            limits: assembled.settings.limits,
        });
        let service = service_fn(move |request| answer(Arc::clone(&served), request));
        let path = endpoint.endpoint.path;
        if !assembled.settings.base_path.is_empty() {
            router = router.route_service(&format!("{}{path}", assembled.settings.base_path), service.clone());
        }
        router = router.route_service(path, service);
    }
    #[cfg(feature = "mcp")]
    let router = super::mcp::http::route(router, assembled);
    router
}

/// The answer to a path that no endpoint has.
pub(crate) async fn no_such_path(request: Request) -> Response {
    let (head, _) = request.into_parts();
    let detail = format!(
        "There is no endpoint at {}; the manifest lists those there are.",
        head.uri.path()
    );
    respond(turned_away(&head, &Error::new(Kind::NoSuchPath, detail)))
}

struct Served {
    endpoint: Arc<BoundEndpoint>,
    pipeline: Arc<Pipeline>,
    limits: Limits,
}

fn answer(served: Arc<Served>, request: Request) -> impl Future<Output = Result<Response, Infallible>> + Send {
    let (head, body) = request.into_parts();
    let mut reading = Reading::of(body);
    async move {
        let Served {
            endpoint,
            pipeline,
            limits,
        } = &*served;
        if head.method.as_str() != endpoint.endpoint.method.as_str() {
            return Ok(method_not_allowed(&head, endpoint.endpoint.method.as_str()));
        }
        let reply = match reading.finish(*limits, pipeline).await {
            Ok(body) => pipeline.answer(endpoint, head, body).await,
            Err(error) => turned_away(&head, &error),
        };
        Ok(respond(reply))
    }
}

/// The reply to what does not reach the pipeline, which would have told of it.
fn turned_away(head: &Parts, error: &Error) -> Reply {
    let path: String = head.uri.path().chars().take(200).collect();
    tracing::warn!(method = %head.method, path, status = error.status(), reason = error.detail(), "refused");
    Reply::from_error(error)
}

fn method_not_allowed(head: &Parts, allowed: &'static str) -> Response {
    let detail = format!("This endpoint answers {allowed} only.");
    let mut response = respond(turned_away(head, &Error::new(Kind::MethodNotAllowed, detail)));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// A body on its way. In one piece it is kept as it came; only a second piece makes a buffer.
pub(super) struct Reading {
    body: Body,
    first: Bytes,
    rest: Vec<u8>,
}

impl Reading {
    pub(super) fn of(body: Body) -> Self {
        Self {
            body,
            first: Bytes::new(),
            rest: Vec::new(),
        }
    }

    /// The whole body, within its size and its time.
    pub(super) async fn finish(&mut self, limits: Limits, pipeline: &Pipeline) -> Result<Bytes, Error> {
        if self.body.size_hint().lower() > limits.body as u64 {
            return Err(too_large(limits.body));
        }
        // Most bodies are there already, and then no timer is needed.
        match poll_fn(|context| Poll::Ready(self.poll(context, limits.body))).await {
            Poll::Ready(whole) => whole,
            // On the heap, so that those which need none do not carry its room about.
            Poll::Pending => Box::pin(self.finish_in_time(limits, pipeline)).await,
        }
    }

    async fn finish_in_time(&mut self, limits: Limits, pipeline: &Pipeline) -> Result<Bytes, Error> {
        // Nobody has vouched for the caller yet, so what all of them together make the server keep is bounded.
        let _room = pipeline.room_for_a_body()?;
        let whole = poll_fn(|context| self.poll(context, limits.body));
        tokio::time::timeout(limits.read_timeout, whole).await.map_err(|_| {
            let seconds = limits.read_timeout.as_secs_f32();
            Error::new(
                Kind::TooSlow,
                format!("The body did not arrive within {seconds} s; send it again."),
            )
        })?
    }

    fn poll(&mut self, context: &mut Context<'_>, most: usize) -> Poll<Result<Bytes, Error>> {
        while let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)) {
            let frame = frame.map_err(|_| {
                Error::malformed("The body ended before it was complete; send the request again.".to_owned())
            })?;
            let Ok(data) = frame.into_data() else { continue };
            if self.first.len().max(self.rest.len()) + data.len() > most {
                return Poll::Ready(Err(too_large(most)));
            }
            if self.first.is_empty() {
                self.first = data;
            } else {
                if self.rest.is_empty() {
                    self.rest.extend_from_slice(&self.first);
                }
                self.rest.extend_from_slice(&data);
            }
        }
        let first = std::mem::take(&mut self.first);
        let rest = std::mem::take(&mut self.rest);
        Poll::Ready(Ok(if rest.is_empty() { first } else { rest.into() }))
    }
}

fn too_large(most: usize) -> Error {
    Error::new(
        Kind::TooLarge,
        format!("The body is larger than {most} bytes, the most this server takes."),
    )
}

/// The reply as HTTP.
pub(crate) fn respond(reply: Reply) -> Response {
    const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type(reply.content_type));
    if reply.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(seconds) = reply.retry_after {
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
    use super::answer;

    /// glibc keeps freed blocks of up to 1,032 bytes at hand; axum boxes this future, and adds a word.
    #[test]
    fn a_call_fits_into_what_an_allocator_keeps_at_hand() {
        let size = of_future(answer);
        assert!(size <= 1024, "the future of a call has grown to {size} bytes");
    }

    fn of_future<A, B, F>(_call: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }
}
