//! The operations: a store, the settings of the rules, and the duplicates that wait for an outcome.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::machine::Settings;
use crate::meter::{StoreMeter, timed};
use crate::record::operation::OperationId;
use crate::store::{Step, Store, StoreError, Swap};

/// How many records one background sweep removes.
pub(crate) const SWEEP: u32 = 500;
/// The number of wake-up channels for waiting duplicates. Operations share these channels, so a duplicate may also be
/// woken by another operation. That duplicate then reads the store once without need.
const BUCKETS: usize = 64;

/// All operations: a store and the settings of the rules.
#[derive(Debug, Clone)]
pub(crate) struct Operations(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    meter: StoreMeter,
    pub(super) settings: Settings,
    ended: [Notify; BUCKETS],
    /// Doubtful claims that are being released.
    pub(super) doubtful: TaskTracker,
}

impl Operations {
    pub(crate) fn new(store: Arc<dyn Store>, settings: Settings) -> Self {
        store.keep_for(settings.ttl);
        store.wait_for(settings.wait);
        Self(Arc::new(Shared {
            store,
            meter: StoreMeter::new(),
            settings,
            ended: std::array::from_fn(|_| Notify::new()),
            doubtful: TaskTracker::new(),
        }))
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    pub(crate) fn meter(&self) -> &StoreMeter {
        &self.0.meter
    }

    /// Waits until all doubtful claims have been released or given up, which takes at most about one lease.
    pub(crate) async fn settle_doubts(&self) {
        self.0.doubtful.close();
        self.0.doubtful.wait().await;
    }

    /// Counts the store's records for the gauge.
    ///
    /// # Errors
    /// If the store cannot count its records.
    pub(crate) async fn count(&self) -> Result<(), StoreError> {
        let Shared {
            store, meter, settings, ..
        } = &*self.0;
        let counts = timed(&meter.count, store.count(settings.lease)).await?;
        meter.records(counts);
        Ok(())
    }

    /// Removes one small batch of expired records, or else of reservations that have ended. Returns [`SWEEP`] if there may
    /// be more, and otherwise how many records it removed.
    ///
    /// # Errors
    /// If the store cannot remove records.
    pub(crate) async fn sweep(&self) -> Result<u32, StoreError> {
        let Shared {
            store, meter, settings, ..
        } = &*self.0;
        let removed = timed(&meter.sweep, store.sweep(settings.ttl, SWEEP)).await?;
        match store.limits() {
            Some(limits) if removed < SWEEP && limits.remove_ended(SWEEP).await? => Ok(SWEEP),
            _ => Ok(removed),
        }
    }
}

impl Shared {
    pub(super) fn ended(&self, id: &OperationId) -> &Notify {
        &self.ended[usize::from(id.as_bytes()[0]) % BUCKETS]
    }

    /// Waits for the store's result. A result that is ready at once is not timed.
    #[allow(clippy::manual_async_fn, reason = "an `async fn` would store the step twice")]
    pub(super) fn timed(
        &self,
        step: Step<'_, Result<Swap, StoreError>>,
    ) -> impl Future<Output = Result<Swap, StoreError>> + Send {
        async move {
            match step {
                Step::Now(answer) => answer,
                Step::Later(asking) => timed(&self.meter.swap, asking).await,
            }
        }
    }
}
