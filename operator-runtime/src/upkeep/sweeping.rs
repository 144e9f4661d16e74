//! A background task that removes expired records and old rows of the audit from the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::repeat_while_held;
use crate::clock::timer_now;
use crate::idempotency::operations::SWEEP;
use crate::pipeline::Pipeline;
use crate::store::StoreError;

/// The pause between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// The shortest pause while more expired records remain.
const BREATH: Duration = Duration::from_millis(1);

/// Sweeps in small batches until the task is aborted or the pipeline is dropped.
pub(crate) fn sweep_while_held(pipeline: &Arc<Pipeline>) -> JoinHandle<()> {
    repeat_while_held(pipeline, sweep)
}

/// Removes one batch of records and one batch of the audit's rows, and returns the pause before the next batches.
///
/// A full batch means that more remains to be removed. The pause is then as long as the batches took, so sweeping uses at
/// most half of the store's time. Sweeping still keeps up, because a batch removes more records than one commit adds.
async fn sweep(pipeline: Arc<Pipeline>) -> Duration {
    let begun = timer_now();
    let removed = |batch: Result<u32, StoreError>, what: &str| match batch {
        Ok(removed) => removed,
        // The store was closed meanwhile.
        Err(_) if pipeline.is_draining() => 0,
        Err(error) => {
            tracing::warn!(%error, "{what} could not be removed; the next attempt is in a minute");
            0
        }
    };
    let records = removed(pipeline.sweep().await, "expired operations");
    let rows = removed(pipeline.sweep_audit().await, "old rows of the audit");
    if records.max(rows) >= SWEEP {
        begun.elapsed().max(BREATH)
    } else {
        SWEEP_EVERY
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::{SWEEP_EVERY, sweep_while_held};
    use crate::clock::SystemClock;
    use crate::idempotency::machine::Settings;
    use crate::idempotency::operations::Operations;
    use crate::pipeline::Pipeline;
    use crate::store::{self, BoxFuture, Cursor, OperationId, Page, Proposal, Step, Store, StoreError, Swap};

    fn pipeline(store: Arc<dyn Store>) -> Arc<Pipeline> {
        let operations = Operations::new(store, Settings::default());
        Arc::new(Pipeline::new(operations, Arc::new(SystemClock::new()), 1))
    }

    #[tokio::test(start_paused = true)]
    async fn sweeping_ends_when_the_pipeline_is_dropped() {
        let pipeline = pipeline(store::open("memory:").await.unwrap());
        let sweeping = sweep_while_held(&pipeline);
        tokio::time::sleep(SWEEP_EVERY * 3).await;
        assert!(!sweeping.is_finished());
        drop(pipeline);
        sweeping.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn sweeping_ends_when_the_pipeline_is_drained() {
        let pipeline = pipeline(store::open("memory:").await.unwrap());
        let sweeping = sweep_while_held(&pipeline);
        tokio::time::sleep(SWEEP_EVERY).await;
        pipeline.drain().await;
        tokio::time::sleep(SWEEP_EVERY).await;
        sweeping.await.unwrap();
    }

    /// A store with a number of expired records; each sweep takes some time.
    #[derive(Debug)]
    struct Backlog {
        left: AtomicU32,
        sweeps: AtomicU32,
    }

    const TAKES: Duration = Duration::from_millis(20);

    impl Store for Backlog {
        fn swap(&self, _: Proposal) -> Step<'_, Result<Swap, StoreError>> {
            Step::Now(Ok(Swap::Gone))
        }

        fn sweep(&self, _older_than: Duration, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
            Box::pin(async move {
                tokio::time::sleep(TAKES).await;
                self.sweeps.fetch_add(1, Ordering::SeqCst);
                let left = self.left.load(Ordering::SeqCst);
                let removed = left.min(limit);
                self.left.store(left - removed, Ordering::SeqCst);
                Ok(removed)
            })
        }

        fn list(
            &self,
            _: RangeInclusive<OperationId>,
            _: Option<Cursor>,
            _: u32,
        ) -> BoxFuture<'_, Result<Page, StoreError>> {
            Box::pin(std::future::ready(Ok(Page {
                records: Vec::new(),
                next: None,
            })))
        }

        fn describe(&self) -> String {
            "a store with much to remove".to_owned()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sweeping_keeps_up_and_uses_at_most_half_of_the_time() {
        // The records that expire in each minute at 10,000 operations a second.
        let backlog = Arc::new(Backlog {
            left: AtomicU32::new(10_000 * 60),
            sweeps: AtomicU32::new(0),
        });
        let pipeline = pipeline(backlog.clone());
        let sweeping = sweep_while_held(&pipeline);
        tokio::time::sleep(TAKES * 100).await;
        let sweeps = backlog.sweeps.load(Ordering::SeqCst);
        assert!((45..=50).contains(&sweeps), "{sweeps} sweeps in the time of 100");
        tokio::time::sleep(SWEEP_EVERY).await;
        assert_eq!(backlog.left.load(Ordering::SeqCst), 0);
        let sweeps = backlog.sweeps.load(Ordering::SeqCst);
        tokio::time::sleep(SWEEP_EVERY * 3).await;
        let idle = backlog.sweeps.load(Ordering::SeqCst) - sweeps;
        assert!((2..=4).contains(&idle), "{idle} sweeps of nothing in three minutes");
        sweeping.abort();
    }
}
