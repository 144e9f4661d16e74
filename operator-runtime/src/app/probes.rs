//! The probes `/livez` and `/readyz`, by which load balancers and orchestrators find out whether to send calls to this
//! process. They need no signature and are not logged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Response;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::router::refused;
use crate::clock::timer_now;
use crate::pipeline::Pipeline;
use crate::problem::{Error, Kind};

/// Answers 200 while the process can answer at all.
const LIVE: &str = "/livez";
/// Answers 200 while the process takes calls and reaches its store.
const READY: &str = "/readyz";

pub(super) const PATHS: [&str; 2] = [LIVE, READY];

/// The store is asked at most this often, because everybody who reaches the server may ask for `/readyz`.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest that the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether this process should get calls.
pub(super) struct Readiness {
    pipeline: Arc<Pipeline>,
    is_stopping: AtomicBool,
    /// When the store was last asked, and whether it answered. The lock is held while the store is asked.
    store: Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    pub(super) fn new(pipeline: &Arc<Pipeline>) -> Arc<Self> {
        Arc::new(Self {
            pipeline: Arc::clone(pipeline),
            is_stopping: AtomicBool::new(false),
            store: Mutex::default(),
        })
    }

    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    async fn check(&self) -> Result<(), Error> {
        if self.is_stopping() {
            return Err(Error::new(
                Kind::Stopping,
                "The server is stopping: send calls to another one.",
            ));
        }
        if self.reaches_store().await {
            Ok(())
        } else {
            let detail =
                "The server cannot reach its record of operations, so calls that change something are refused.";
            Err(Error::new(Kind::Unavailable, detail))
        }
    }

    async fn reaches_store(&self) -> bool {
        let mut store = self.store.lock().await;
        match *store {
            Some((asked, reached)) if timer_now() - asked < PAUSE => reached,
            _ => {
                let asking = tokio::time::timeout(PATIENCE, self.pipeline.store().ping()).await;
                let reached = matches!(asking, Ok(Ok(())));
                *store = Some((timer_now(), reached));
                reached
            }
        }
    }
}

/// Adds the routes of the probes.
pub(super) fn route(router: Router, readiness: &Arc<Readiness>) -> Router {
    let readiness = Arc::clone(readiness);
    let ready = async move || match readiness.check().await {
        Ok(()) => text("ready\n"),
        Err(error) => refused(&error),
    };
    router
        .route(LIVE, get(async || text("alive\n")))
        .route(READY, get(ready))
}

fn text(text: &'static str) -> Response<Body> {
    Response::new(Body::from(text))
}
