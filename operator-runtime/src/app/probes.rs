//! The probes `/livez` and `/readyz`, by which load balancers and orchestrators find out whether to send calls to this
//! process. They need no signature and are not logged.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse as _;
use axum::routing::get;
use tokio::sync::watch;
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
/// How long a probe waits for the store's answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether this process should get calls.
pub(super) struct Readiness {
    pipeline: Arc<Pipeline>,
    is_stopping: AtomicBool,
    store: Mutex<Option<Asked>>,
}

/// A question to the store. It is asked on a task of its own, so that a caller who disconnects does not cancel it.
#[derive(Clone)]
struct Asked {
    at: Instant,
    /// Whether the store was reached; `None` until it has answered.
    reached: watch::Receiver<Option<bool>>,
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
            let detail = "The server cannot reach its store of operations, so calls that change something are refused.";
            Err(Error::new(Kind::Unavailable, detail))
        }
    }

    async fn reaches_store(&self) -> bool {
        let mut reached = self.ask_store().reached;
        let answer = tokio::time::timeout(PATIENCE, reached.wait_for(Option::is_some)).await;
        matches!(answer, Ok(Ok(reached)) if *reached == Some(true))
    }

    /// The last question, or a new one if the last was answered and is old.
    fn ask_store(&self) -> Asked {
        let mut last = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = &*last
            && (asked.reached.borrow().is_none() || timer_now() - asked.at < PAUSE)
        {
            return asked.clone();
        }
        let (answer, reached) = watch::channel(None);
        let pipeline = Arc::clone(&self.pipeline);
        tokio::spawn(async move {
            let asked = pipeline.store().ping().await;
            answer.send_replace(Some(asked.is_ok()));
        });
        let asked = Asked {
            at: timer_now(),
            reached,
        };
        *last = Some(asked.clone());
        asked
    }
}

/// Adds the routes of the probes.
pub(super) fn route(router: Router, readiness: &Arc<Readiness>) -> Router {
    let readiness = Arc::clone(readiness);
    let ready = async move || match readiness.check().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => refused(&error),
    };
    router.route(LIVE, get(async || "alive\n")).route(READY, get(ready))
}
