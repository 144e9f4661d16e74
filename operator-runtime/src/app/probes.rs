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

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::{PATIENCE, PAUSE, Readiness};
    use crate::clock::SystemClock;
    use crate::idempotency::machine::Settings;
    use crate::idempotency::operations::Operations;
    use crate::pipeline::Pipeline;
    use crate::store::{BoxFuture, Cursor, OperationId, Page, Proposal, Step, Store, StoreError, Swap};

    /// A store that answers a ping after some time, and counts the pings and the answers.
    #[derive(Debug)]
    struct Slow {
        takes: Duration,
        asked: AtomicU32,
        answered: AtomicU32,
    }

    impl Store for Slow {
        fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
            Box::pin(async {
                self.asked.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(self.takes).await;
                self.answered.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
        }

        fn swap(&self, _: Proposal) -> Step<'_, Result<Swap, StoreError>> {
            Step::Now(Ok(Swap::Gone))
        }

        fn sweep(&self, _older_than: Duration, _limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
            Box::pin(std::future::ready(Ok(0)))
        }

        fn list(
            &self,
            _: RangeInclusive<OperationId>,
            _: Option<Cursor>,
            _: u32,
        ) -> BoxFuture<'_, Result<Page, StoreError>> {
            Box::pin(std::future::ready(Ok(Page::new(Vec::new(), None))))
        }

        fn describe(&self) -> String {
            "a slow store".to_owned()
        }
    }

    fn readiness(takes: Duration) -> (Arc<Readiness>, Arc<Slow>) {
        let store = Arc::new(Slow {
            takes,
            asked: AtomicU32::new(0),
            answered: AtomicU32::new(0),
        });
        let operations = Operations::new(store.clone(), Settings::default());
        let pipeline = Pipeline::new(operations, Arc::new(SystemClock::new()), 1);
        (Readiness::new(&Arc::new(pipeline)), store)
    }

    #[tokio::test(start_paused = true)]
    async fn the_store_is_asked_at_most_once_a_second() {
        let (readiness, store) = readiness(Duration::from_millis(10));
        for _ in 0..100 {
            readiness.check().await.unwrap();
        }
        assert_eq!(store.asked.load(Ordering::SeqCst), 1);
        tokio::time::sleep(PAUSE).await;
        readiness.check().await.unwrap();
        assert_eq!(store.asked.load(Ordering::SeqCst), 2);
        readiness.stop();
        let error = readiness.check().await.unwrap_err();
        assert_eq!(error.status(), 503);
    }

    #[tokio::test(start_paused = true)]
    async fn callers_who_disconnect_cause_no_further_questions() {
        let (readiness, store) = readiness(PAUSE);
        for _ in 0..5 {
            let limit = tokio::time::timeout(PAUSE / 10, readiness.check());
            assert!(limit.await.is_err(), "the store has not answered yet");
        }
        readiness.check().await.unwrap();
        let counts = [&store.asked, &store.answered].map(|count| count.load(Ordering::SeqCst));
        assert_eq!(counts, [1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_is_asked_once() {
        let (readiness, store) = readiness(PATIENCE * 100);
        for _ in 0..5 {
            assert!(readiness.check().await.is_err());
        }
        assert_eq!(store.asked.load(Ordering::SeqCst), 1);
    }
}
