//! An app inside another program's server.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::{BoxError, Router};
use bytes::Bytes;

use super::{Assembled, Service, router};

/// An app that another server serves: the routes to mount, and how to stop. [`App::host`](crate::App::host) makes it.
///
/// When the host stops, it ends its own connections first, and then calls [`drain`](Self::drain). Otherwise a call whose
/// caller has disconnected is lost with the process, and its outcome may become unknown.
///
/// ```no_run
/// # use std::time::Duration;
/// # use operator_runtime::App;
/// # async fn wait_for_a_signal() {}
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// let host = App::new().host().await?;
/// let app = axum::Router::new()
///     .route("/health", axum::routing::get(async || "well"))
///     .merge(host.router());
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// axum::serve(listener, app).with_graceful_shutdown(wait_for_a_signal()).await?;
/// if !host.drain(Duration::from_secs(30)).await {
///     eprintln!("some calls were still running");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Host {
    assembled: Arc<Assembled>,
}

impl Host {
    pub(super) fn new(assembled: Arc<Assembled>) -> Self {
        Self { assembled }
    }

    /// A router to mount in an axum app. [`App::router`](crate::App::router) describes it.
    pub fn router(&self) -> Router {
        router::router(&self.assembled)
    }

    /// The whole app as a [`tower::Service`]. [`App::service`](crate::App::service) describes it. This method consumes
    /// the host. To drain the calls later, keep a clone of it.
    #[must_use]
    pub fn service<B>(
        self,
    ) -> impl tower::Service<
        http::Request<B>,
        Response = http::Response<impl http_body::Body<Data = Bytes, Error = BoxError> + Send + 'static>,
        Error = Infallible,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + 'static
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let service = Service::new(&self.assembled);
        tower::service_fn(move |request| service.answer(request))
    }

    /// Refuses new calls from now on, with 503 and `Retry-After`. Running calls go on.
    pub fn stop(&self) {
        self.assembled.pipeline.stop();
    }

    /// Refuses new calls, waits until no call is running, and closes the store. Returns `false` if calls are still
    /// running after `limit`; these calls go on.
    pub async fn drain(&self, limit: Duration) -> bool {
        self.stop();
        let pipeline = &self.assembled.pipeline;
        let drained = async {
            pipeline.idle().await;
            pipeline.drain().await;
        };
        tokio::time::timeout(limit, drained).await.is_ok()
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Host").finish_non_exhaustive()
    }
}
