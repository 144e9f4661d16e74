//! A shared store: an `Arc` of a store is a store too.

use std::any::Any;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::{
    AuditLog, BoxFuture, Counts, Cursor, Limits, OperationId, Page, Proposal, Provided, Step, Store, StoreError, Swap,
    Transactions,
};

/// Lets an app use a store that is shared, or whose type is known only at run time.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn swap(&self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>> {
        (**self).swap(proposal)
    }

    fn keep_for(&self, ttl: Duration) {
        (**self).keep_for(ttl);
    }

    fn wait_for(&self, wait: Duration) {
        (**self).wait_for(wait);
    }

    fn sweep(&self, older_than: Duration, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        (**self).sweep(older_than, limit)
    }

    fn list(
        &self,
        ids: RangeInclusive<OperationId>,
        after: Option<Cursor>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        (**self).list(ids, after, limit)
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).ping()
    }

    fn count(&self, lease: Duration) -> BoxFuture<'_, Result<Counts, StoreError>> {
        (**self).count(lease)
    }

    fn describe(&self) -> String {
        (**self).describe()
    }

    fn warning(&self) -> Option<String> {
        (**self).warning()
    }

    fn provides(&self) -> Provided {
        (**self).provides()
    }

    fn transactions(&self) -> Option<&dyn Transactions> {
        (**self).transactions()
    }

    fn limits(&self) -> Option<&dyn Limits> {
        (**self).limits()
    }

    fn audit(&self) -> Option<&dyn AuditLog> {
        (**self).audit()
    }

    fn built_in(&self) -> Option<&(dyn Any + Send + Sync)> {
        (**self).built_in()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        (**self).close()
    }
}

#[cfg(test)]
mod tests {
    use std::any::Any;
    use std::sync::Arc;

    use crate::clock::ManualClock;
    use crate::store::{MemoryStore, Store, contract, open};

    #[tokio::test]
    async fn a_shared_store_is_the_store_that_it_shares() {
        let clock = Arc::new(ManualClock::at(std::time::Duration::ZERO));
        let shared = Arc::new(MemoryStore::with(1024 * 1024, clock.clone()));
        contract::check(&shared, async |by| clock.advance(by)).await;
        let opened = open("memory:").await.unwrap();
        let twice: Arc<dyn Store> = Arc::new(opened);
        let is_memory = <dyn Any + Send + Sync>::is::<MemoryStore>;
        assert!(twice.built_in().is_some_and(is_memory));
        assert!(twice.describe().contains("memory") && twice.warning().is_some());
    }
}
