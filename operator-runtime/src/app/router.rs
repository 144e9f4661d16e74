//! The endpoints as axum routes, which an axum app can mount.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::Request;
#[cfg(any(feature = "cli", feature = "mcp"))]
use http::Response;
use tower::service_fn;

use super::Assembled;
use super::exchange::Served;
#[cfg(any(feature = "cli", feature = "mcp"))]
use crate::{app::exchange::respond, pipeline::reply::Reply, problem::Error};

/// A route for each path of each endpoint, and the route of MCP.
pub(super) fn router(assembled: &Arc<Assembled>) -> Router {
    let router = Served::all(assembled).fold(Router::new(), |router, (paths, served)| route(router, &paths, &served));
    with_mcp(router, assembled)
}

/// Adds a route for each path of the endpoint.
pub(super) fn route(router: Router, paths: &[String], served: &Arc<Served>) -> Router {
    paths.iter().fold(router, |router, path| {
        // The service contains only one `Arc`, because axum clones the service for each request.
        let served = Arc::clone(served);
        let service = service_fn(move |request: Request<Body>| Arc::clone(&served).answer(request));
        router.route_service(path, service)
    })
}

/// Adds the route of MCP, if MCP is served.
pub(super) fn with_mcp(router: Router, assembled: &Arc<Assembled>) -> Router {
    #[cfg(feature = "mcp")]
    let router = super::mcp::http::route(router, assembled);
    #[cfg(not(feature = "mcp"))]
    let _ = assembled;
    router
}

/// The error response of a route that is not an endpoint.
#[cfg(any(feature = "cli", feature = "mcp"))]
pub(super) fn refused(error: &Error) -> Response<Body> {
    respond(Reply::from_error(error)).map(Body::new)
}
