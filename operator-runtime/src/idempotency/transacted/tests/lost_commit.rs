//! Tests of a commit whose answer is lost.

use super::*;
use crate::store::{Cursor, Page, Step};

/// A store that loses the answer to the first commit. `keeps` says whether the store committed.
#[derive(Debug)]
struct Lossy {
    inner: Arc<SqliteStore>,
    keeps: bool,
    lost: AtomicU32,
}

impl Store for Lossy {
    fn swap(&self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>> {
        self.inner.swap(proposal)
    }

    fn sweep(&self, older_than: Duration, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.inner.sweep(older_than, limit)
    }

    fn list(
        &self,
        ids: std::ops::RangeInclusive<OperationId>,
        after: Option<Cursor>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.inner.list(ids, after, limit)
    }

    fn describe(&self) -> String {
        "a store behind a bad line".to_owned()
    }

    fn transactions(&self) -> Option<&dyn Transactions> {
        Some(self)
    }
}

impl Transactions for Lossy {
    fn handle_type(&self) -> std::any::TypeId {
        self.inner.handle_type()
    }

    fn transact(&self, limit: Duration, work: Work) -> BoxFuture<'_, Ended> {
        Box::pin(async move {
            if self.lost.fetch_add(1, Ordering::SeqCst) > 0 {
                return self.inner.transact(limit, work).await;
            }
            let keeps = self.keeps;
            let work: Work = Box::new(move |transaction| {
                let working = work(transaction);
                Box::pin(async move {
                    let verdict = working.await;
                    if keeps { verdict } else { Verdict::RollBack }
                })
            });
            self.inner.transact(limit, work).await;
            Ended::CommitUnknown(StoreError::Closed { store: self.describe() })
        })
    }
}

fn behind_a_bad_line(mut desk: Desk, keeps: bool) -> Desk {
    let store = Lossy {
        inner: desk.store.clone(),
        keeps,
        lost: AtomicU32::new(0),
    };
    desk.operations = Operations::new(Arc::new(store), Settings::default());
    desk
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_looked_up_before_the_caller_is_answered() {
    let desk = behind_a_bad_line(desk(), true);
    assert_eq!(
        body(desk.call("1", refund("a", finished(200, "done"))).await),
        (false, "done".to_owned())
    );
    assert_eq!(
        body(desk.call("1", refund("a", finished(200, "twice"))).await),
        (true, "done".to_owned())
    );
    assert_eq!(desk.refunds().await, ["a"]);
}

#[tokio::test]
async fn a_lost_commit_is_not_answered_as_a_success_and_the_retry_runs() {
    let desk = behind_a_bad_line(desk(), false);
    assert!(matches!(
        desk.call("1", refund("a", finished(200, "done"))).await,
        Err(StoreError::Closed { .. })
    ));
    assert_eq!(
        body(desk.call("1", refund("b", finished(200, "again"))).await),
        (false, "again".to_owned())
    );
    assert_eq!(desk.refunds().await, ["b"]);
}
