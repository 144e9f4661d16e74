//! The operations: a store, the settings of the rules, and the duplicates that wait for an outcome.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::machine::Settings;
use crate::meter::{StoreMeter, timed};
use crate::record::AuditRow;
use crate::record::operation::OperationId;
use crate::store::{Step, Store, StoreError, Swap};

/// How many records one background sweep removes.
pub(crate) const SWEEP: u32 = 500;
/// The number of wake-up channels for waiting duplicates. Operations share these channels, so a duplicate may also be
/// woken by another operation. That duplicate then reads the store once without need.
const BUCKETS: usize = 64;

/// How long rows of the audit are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retention {
    For(Duration),
    /// No setting says how long, so nothing is removed: other programs may use the same store, and may keep its rows.
    Unlimited,
}

/// All operations: a store and the settings of the rules.
#[derive(Debug, Clone)]
pub(crate) struct Operations(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    meter: StoreMeter,
    pub(super) settings: Settings,
    /// How long rows of the audit are kept; `None` if the audit is off.
    audit: Option<Retention>,
    ended: [Notify; BUCKETS],
    /// What ends before the store is closed: doubtful claims that are being released, and settlements of persons who have
    /// closed the page.
    pub(super) unfinished: TaskTracker,
}

impl Operations {
    #[cfg(test)]
    pub(crate) fn new(store: Arc<dyn Store>, settings: Settings) -> Self {
        Self::audited(store, settings, None)
    }

    /// The operations in a store. `audit` is how long the rows of the audit are kept; `None` if the audit is off.
    pub(crate) fn audited(store: Arc<dyn Store>, settings: Settings, audit: Option<Retention>) -> Self {
        store.keep_for(settings.ttl);
        store.wait_for(settings.wait);
        Self(Arc::new(Shared {
            store,
            meter: StoreMeter::new(),
            settings,
            audit,
            ended: std::array::from_fn(|_| Notify::new()),
            unfinished: TaskTracker::new(),
        }))
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Whether each operation that ends adds a row to the audit.
    pub(crate) fn has_audit(&self) -> bool {
        self.0.audit.is_some()
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    pub(crate) fn meter(&self) -> &StoreMeter {
        &self.0.meter
    }

    /// Waits until all doubtful claims have been released or given up, which takes at most about one lease, and until all
    /// settlements have ended.
    pub(crate) async fn settle_doubts(&self) {
        self.0.unfinished.close();
        self.0.unfinished.wait().await;
    }

    /// The tasks that end before the store is closed.
    #[cfg(feature = "cli")]
    pub(crate) fn unfinished(&self) -> &TaskTracker {
        &self.0.unfinished
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

    /// Adds the row of an operation that has left no record. Nothing has taken effect, so the call is answered even if the
    /// row cannot be added.
    pub(crate) async fn add_to_audit(&self, row: AuditRow) {
        let operation = row.operation;
        let Some(log) = self.0.store.audit() else { return };
        if let Err(error) = log.add(row).await {
            tracing::error!(%operation, %error, "the audit has no row of an operation that was rolled back: check the store");
        }
    }

    /// Removes one small batch of old rows of the audit, and returns how many it removed: [`SWEEP`] if there may be more.
    ///
    /// # Errors
    /// If the store cannot remove rows.
    pub(crate) async fn sweep_audit(&self) -> Result<u32, StoreError> {
        let Shared {
            store, meter, audit, ..
        } = &*self.0;
        match (store.audit(), audit) {
            (Some(log), Some(Retention::For(keep))) => timed(&meter.sweep, log.sweep_rows(*keep, SWEEP)).await,
            _ => Ok(0),
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

#[cfg(all(test, feature = "sqlite"))]
mod tests;
