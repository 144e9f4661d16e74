//! The endpoints as axum routes, which an axum app can mount.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::middleware::{self, Next};
use axum::routing::{MethodFilter, on_service};
use http::{HeaderValue, Request, Response};
use tower::service_fn;

use super::Assembled;
use super::exchange::{Served, respond};
use crate::pipeline::reply::Reply;
use crate::problem::Error;
use crate::protocol::method::Method;
use crate::protocol::request_id::{self, REQUEST_ID};

/// A route for each path of each endpoint, and the routes that are not endpoints.
pub(super) fn router(assembled: &Arc<Assembled>) -> Router {
    // Only the routes, and not the fallback, because the host answers all other paths.
    let beside = beside_endpoints(Router::new(), assembled);
    let beside = if beside.has_routes() {
        beside.route_layer(middleware::from_fn(identified))
    } else {
        beside
    };
    Served::all(assembled).fold(beside, |router, (paths, served)| route(router, &paths, &served))
}

/// Gives each request an id, as [`Served::identified`] does.
async fn identified(mut request: Request<Body>, next: Next) -> Response<Body> {
    let id = request_id::identify(request.headers_mut());
    with_id(next.run(request).await, id)
}

/// Adds the id of the request to its answer.
pub(super) fn with_id<B>(mut response: Response<B>, id: HeaderValue) -> Response<B> {
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Adds a route for each path of the endpoint. The route is for the endpoint's method, so that a host can have a route
/// for another method at the same path.
pub(super) fn route(router: Router, paths: &[String], served: &Arc<Served>) -> Router {
    paths.iter().fold(router, |router, path| {
        // The service contains only one `Arc`, because axum clones the service for each request.
        let served = Arc::clone(served);
        let method = match served.method() {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
        };
        let service = service_fn(move |request: Request<Body>| Arc::clone(&served).identified(request));
        router.route(path, on_service(method, service.clone()).fallback_service(service))
    })
}

/// Adds the routes of the app that are not endpoints: MCP, and the document for OAuth clients.
pub(super) fn beside_endpoints(router: Router, assembled: &Arc<Assembled>) -> Router {
    #[cfg(feature = "mcp")]
    let router = super::mcp::http::route(router, assembled);
    #[cfg(feature = "oauth")]
    let router = super::protected_resource::route(router, assembled);
    let _ = assembled;
    router
}

/// The error response of a route that is not an endpoint.
pub(super) fn refused(error: &Error) -> Response<Body> {
    respond(Reply::from_error(error)).map(Body::new)
}
