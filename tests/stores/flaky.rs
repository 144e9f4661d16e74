//! A store that can be made to refuse calls. It also reports when a call finds its operation running.

use std::any::TypeId;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use operator_runtime::store::{
    BoxFuture, Cursor, Ended, OperationId, Page, Proposal, Provided, State, Step, Store, StoreError, Swap,
    Transactions, Work,
};
use tokio::sync::Notify;

/// A store that can be made to refuse every call, or only writes that replace an earlier record.
#[derive(Debug, Clone)]
pub(crate) struct Flaky {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) down: Arc<AtomicBool>,
    pub(crate) refuses_ends: Arc<AtomicBool>,
    /// Woken when a call finds that its operation is already running.
    pub(crate) met: Arc<Notify>,
}

impl Flaky {
    fn refuse(&self, over_a_record: bool) -> Result<(), StoreError> {
        let refuses = self.down.load(Ordering::SeqCst) || (over_a_record && self.refuses_ends.load(Ordering::SeqCst));
        if refuses {
            Err(StoreError::Closed {
                store: "a store that was made to refuse".to_owned(),
            })
        } else {
            Ok(())
        }
    }
}

impl Store for Flaky {
    fn swap(&self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>> {
        if let Err(error) = self.refuse(proposal.expected.is_some()) {
            return Step::Now(Err(error));
        }
        Step::Later(Box::pin(async move {
            let answer = self.inner.swap(proposal).wait().await;
            if matches!(&answer, Ok(Swap::Held { record, .. }) if record.state == State::InProgress) {
                self.met.notify_waiters();
            }
            answer
        }))
    }

    fn keep_for(&self, ttl: Duration) {
        self.inner.keep_for(ttl);
    }

    fn sweep(&self, older_than: Duration, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.inner.sweep(older_than, limit)
    }

    fn list(
        &self,
        ids: RangeInclusive<OperationId>,
        after: Option<Cursor>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.inner.list(ids, after, limit)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn provides(&self) -> Provided {
        self.inner.provides()
    }

    fn transactions(&self) -> Option<&dyn Transactions> {
        self.inner.transactions().map(|_| self as &dyn Transactions)
    }
}

impl Transactions for Flaky {
    fn handle_type(&self) -> TypeId {
        self.inner.transactions().unwrap().handle_type()
    }

    fn transact(&self, limit: Duration, work: Work) -> BoxFuture<'_, Ended> {
        match self.refuse(false) {
            Ok(()) => self.inner.transactions().unwrap().transact(limit, work),
            Err(error) => Box::pin(std::future::ready(Ended::Failed(error))),
        }
    }
}
