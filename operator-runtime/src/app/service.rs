//! The app as one service: finds an endpoint by the path of the request, and passes other paths to axum's router.

use std::convert::Infallible;
#[cfg(feature = "tls")]
use std::future::ready;
use std::sync::Arc;

use axum::body::Body;
use axum::extract;
use axum::{BoxError, Router};
use bytes::Bytes;
use futures_util::future::{FutureExt as _, TryFutureExt as _};
use hashbrown::HashMap;
use http::{Request, Response};
use http_body_util::{Either, Full};
use tower::Service as _;

use super::Assembled;
#[cfg(feature = "tls")]
use super::exchange::uncertified;
use super::exchange::{Served, no_such_path};
use super::router::{beside_endpoints, route, with_id};
use crate::protocol::request_id;

/// The body of an answer: a complete body from an endpoint, or any body from an axum route.
pub(super) type AnswerBody = Either<Full<Bytes>, Body>;

/// The service that answers all paths of the app. An endpoint's path is looked up in a hash map and not by axum's
/// router, because the router stores values in the request, which costs as much as verifying the request. Only
/// extractors read these values, so endpoints with extractors do go through the router.
#[derive(Clone)]
pub(crate) struct Service(Arc<Paths>);

struct Paths {
    /// Requests only look paths up, and never add one, so hashbrown's hasher is safe here. It is faster than the standard
    /// library's, which withstands callers that choose what is added.
    endpoints: HashMap<String, Arc<Served>>,
    beside: Router,
    #[cfg(feature = "tls")]
    assembled: Arc<Assembled>,
}

impl Service {
    /// A service without other routes.
    pub(crate) fn new(assembled: &Arc<Assembled>) -> Self {
        Self::with(assembled, Router::new())
    }

    /// A service that also serves the routes in `beside`, which are not endpoints.
    pub(super) fn with(assembled: &Arc<Assembled>, beside: Router) -> Self {
        let mut endpoints = HashMap::new();
        let mut beside = beside_endpoints(beside, assembled);
        for (paths, served) in Served::all(assembled) {
            if served.extracts() {
                beside = route(beside, &paths, &served);
            } else {
                endpoints.extend(paths.into_iter().map(|path| (path, Arc::clone(&served))));
            }
        }
        let beside = beside.fallback(async |request: extract::Request| no_such_path(&request.into_parts().0));
        Self(Arc::new(Paths {
            endpoints,
            beside,
            #[cfg(feature = "tls")]
            assembled: Arc::clone(assembled),
        }))
    }

    /// Answers a request from the network. If this server asks for client certificates, a request without a valid one is
    /// refused before its path is looked up.
    #[cfg(feature = "tls")]
    pub(super) fn answer_certified<B>(
        &self,
        mut request: Request<B>,
    ) -> impl Future<Output = Result<Response<AnswerBody>, Infallible>> + Send + use<B>
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let id = request_id::identify(request.headers_mut());
        match uncertified(&self.0.assembled, &request) {
            Some(refused) => ready(Ok(with_id(refused.map(Either::Left), id))).left_future(),
            None => self.answer(request).right_future(),
        }
    }

    /// Answers a request. Each request gets an id, and every answer has that id.
    pub(crate) fn answer<B>(
        &self,
        mut request: Request<B>,
    ) -> impl Future<Output = Result<Response<AnswerBody>, Infallible>> + Send + use<B>
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let Paths { endpoints, beside, .. } = &*self.0;
        match endpoints.get(request.uri().path()) {
            Some(served) => Arc::clone(served)
                .identified(request)
                .map_ok(|response| response.map(Either::Left))
                .left_future(),
            None => {
                let id = request_id::identify(request.headers_mut());
                beside
                    .clone()
                    .call(request.map(Body::new))
                    .map_ok(|response| with_id(response, id).map(Either::Right))
                    .right_future()
            }
        }
    }
}
