//! The app as one service: an endpoint by the path of its request, and axum's routes for what stands beside.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract;
use axum::{BoxError, Router};
use bytes::Bytes;
use futures_util::future::{FutureExt as _, TryFutureExt as _};
use http::{Request, Response};
use http_body_util::{Either, Full};
use tower::Service as _;

use super::Assembled;
use super::router::{route, with_mcp};
use super::served::{Served, no_such_path};

/// What is sent: an endpoint's answer, which is whole, or what a route of axum's sends.
pub(super) type Answer = Either<Full<Bytes>, Body>;

/// Everything that the app answers. A path of an endpoint is looked up and nothing else is done, because what axum notes
/// in a request on the way to a route costs as much as verifying it; only extractors read that.
#[derive(Clone)]
pub(crate) struct Service(Arc<Paths>);

struct Paths {
    endpoints: HashMap<String, Arc<Served>>,
    beside: Router,
}

impl Service {
    /// The app alone.
    pub(crate) fn new(assembled: &Arc<Assembled>) -> Self {
        Self::with(assembled, Router::new())
    }

    /// The app, and what stands `beside` its endpoints.
    pub(super) fn with(assembled: &Arc<Assembled>, beside: Router) -> Self {
        let mut endpoints = HashMap::new();
        let mut beside = with_mcp(beside, assembled);
        for (paths, served) in Served::all(assembled) {
            if served.extracts() {
                beside = route(beside, &paths, &served);
            } else {
                endpoints.extend(paths.into_iter().map(|path| (path, Arc::clone(&served))));
            }
        }
        let beside = beside.fallback(async |request: extract::Request| no_such_path(&request.into_parts().0));
        Self(Arc::new(Paths { endpoints, beside }))
    }

    pub(crate) fn answer<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<Answer>, Infallible>> + Send + use<B>
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let Paths { endpoints, beside } = &*self.0;
        match endpoints.get(request.uri().path()) {
            Some(served) => Arc::clone(served)
                .answer(request)
                .map_ok(|response| response.map(Either::Left))
                .left_future(),
            None => beside
                .clone()
                .call(request.map(Body::new))
                .map_ok(|response| response.map(Either::Right))
                .right_future(),
        }
    }
}
