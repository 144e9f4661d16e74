//! A store that delays each compare-and-swap until the history decides whether it succeeds.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::history::CommitFate;
use crate::record::Record;
use crate::store::{
    Ages, Audit, BoxFuture, Cursor, Ended, FirstSeen, Listed, OperationId, Page, Proposal, Revision, Step, Store,
    StoreError, Swap, Transaction, Transactions, Verdict, Work,
};

/// One server's access to the store.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) inner: Arc<dyn Store>,
    pub(super) added: Option<Arc<AddedTime>>,
    waiting: Mutex<Option<Request>>,
    /// The fate of the next transaction's commit.
    commit: Mutex<CommitFate>,
    /// Whether the next transaction cannot begin.
    is_away: AtomicBool,
}

/// A compare-and-swap that was requested and not yet carried out.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: OperationId,
    pub(super) expected: Option<Revision>,
    record: Arc<Record>,
    first_seen: FirstSeen,
    reply: oneshot::Sender<Result<Swap, StoreError>>,
}

impl Gate {
    pub(super) fn new(inner: Arc<dyn Store>, added: Option<Arc<AddedTime>>) -> Self {
        Self {
            inner,
            added,
            waiting: Mutex::default(),
            commit: Mutex::default(),
            is_away: AtomicBool::new(false),
        }
    }

    pub(super) fn set_commit(&self, fate: CommitFate) {
        *lock(&self.commit) = fate;
    }

    /// The request of the future that was polled last.
    pub(super) fn take_request(&self) -> Option<Request> {
        lock(&self.waiting).take()
    }

    pub(super) async fn carry_out(&self, request: &Request) -> Result<Swap, StoreError> {
        let answer = self
            .inner
            .swap(Proposal {
                id: request.id,
                expected: request.expected,
                new: request.record.clone(),
                first_seen: request.first_seen,
                audit: Audit::Nothing,
            })
            .wait()
            .await;
        match &self.added {
            Some(added) => answer.map(|swap| {
                let asked = Asked {
                    id: request.id,
                    begins: request.expected.is_none() || request.first_seen == FirstSeen::Reset,
                };
                added.adjust(&mut lock(&added.writes), &asked, swap)
            }),
            None => answer,
        }
    }

    /// The stored record of an operation, with its ages in the history's time.
    pub(super) async fn listed(&self, id: OperationId) -> Result<Option<Listed>, StoreError> {
        let page = self.inner.list(id..=id, None, 1).await?;
        let aged = |listed: Listed| match &self.added {
            Some(added) => Listed {
                ages: added.aged(id, listed.ages),
                ..listed
            },
            None => listed,
        };
        Ok(page.records.into_iter().next().map(aged))
    }

    pub(super) fn unreachable() -> StoreError {
        StoreError::Closed {
            store: "the store of a history".to_owned(),
        }
    }

    /// The error for a server whose write had this result, but whose answer is lost.
    pub(super) fn unconfirmed(answer: &Swap) -> StoreError {
        StoreError::Unconfirmed {
            store: "the store of a history".to_owned(),
            // No record ever has the revision `u64::MAX`.
            revision: match answer {
                Swap::Swapped(revision) => *revision,
                Swap::Held { .. } | Swap::Gone => Revision(u64::MAX),
            },
            source: Arc::new(Self::unreachable()),
        }
    }
}

impl Request {
    /// At its next poll, the future continues with this result.
    pub(super) fn answer(self, answer: Result<Swap, StoreError>) {
        let _ = self.reply.send(answer);
    }
}

impl Store for Gate {
    fn swap(&self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>> {
        let Proposal {
            id,
            expected,
            new,
            first_seen,
            audit: _,
        } = proposal;
        Step::Later(Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let earlier = lock(&self.waiting).replace(Request {
                id,
                expected,
                record: new,
                first_seen,
                reply,
            });
            assert!(earlier.is_none(), "two requests in one poll");
            answer.await.unwrap_or_else(|_| Err(Self::unreachable()))
        }))
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

    fn transactions(&self) -> Option<&dyn Transactions> {
        self.inner.transactions().map(|_| self as &dyn Transactions)
    }
}

/// Runs a transaction to its end. Then the history decides whether it commits, and whether the server gets the answer.
impl Transactions for Gate {
    fn handle_type(&self) -> TypeId {
        self.inner.transactions().expect("it has some").handle_type()
    }

    fn transact(&self, limit: Duration, work: Work) -> BoxFuture<'_, Ended> {
        if self.is_away.swap(false, Ordering::SeqCst) {
            return Box::pin(std::future::ready(Ended::Failed(Self::unreachable())));
        }
        let fate = std::mem::take(&mut *lock(&self.commit));
        let was_to_commit = Arc::new(AtomicBool::new(false));
        let is_to_commit = Arc::clone(&was_to_commit);
        let work: Work = Box::new(move |transaction| {
            Box::pin(async move {
                let verdict = work(transaction).await;
                is_to_commit.store(verdict == Verdict::Commit, Ordering::SeqCst);
                if fate.arrives() { verdict } else { Verdict::RollBack }
            })
        });
        Box::pin(async move {
            let ended = self.transact_on_time(limit, work).await;
            if !was_to_commit.load(Ordering::SeqCst) || fate == CommitFate::Answered {
                return ended;
            }
            let is_away = fate == CommitFate::AnswerLostForGood;
            self.is_away.store(is_away, Ordering::SeqCst);
            Ended::CommitUnknown(Self::unreachable())
        })
    }
}

impl Gate {
    fn transact_on_time(&self, limit: Duration, work: Work) -> BoxFuture<'_, Ended> {
        let inner = self.inner.transactions().expect("it has some");
        let Some(added) = self.added.clone() else {
            return inner.transact(limit, work);
        };
        Box::pin(async move {
            // The transaction changes a copy of the write times, because others see its writes only after the commit.
            let writes = Arc::new(Mutex::new(lock(&added.writes).clone()));
            let (time, within) = (Arc::clone(&added), Arc::clone(&writes));
            let work: Work = Box::new(move |transaction| {
                Box::pin(async move {
                    let mut aged = Aged {
                        inner: transaction,
                        time,
                        writes: within,
                    };
                    work(&mut aged).await
                })
            });
            let ended = inner.transact(limit, work).await;
            if matches!(ended, Ended::Committed) {
                *lock(&added.writes) = std::mem::take(&mut lock(&writes));
            }
            ended
        })
    }
}

/// A transaction that returns the ages that records have in the history.
struct Aged<'t> {
    inner: &'t mut dyn Transaction,
    time: Arc<AddedTime>,
    writes: Arc<Mutex<Writes>>,
}

impl Transaction for Aged<'_> {
    fn swap(&mut self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>> {
        let id = proposal.id;
        let begins = proposal.expected.is_none() || proposal.first_seen == FirstSeen::Reset;
        let swapping = self.inner.swap(proposal);
        let (time, writes) = (&self.time, &self.writes);
        Step::Later(Box::pin(async move {
            let swap = swapping.wait().await?;
            Ok(time.adjust(&mut lock(writes), &Asked { id, begins }, swap))
        }))
    }

    fn savepoint(&mut self) -> Step<'_, Result<(), StoreError>> {
        self.inner.savepoint()
    }

    fn roll_back_savepoint(&mut self) -> Step<'_, Result<(), StoreError>> {
        self.inner.roll_back_savepoint()
    }

    fn release_savepoint(&mut self) -> Step<'_, Result<(), StoreError>> {
        self.inner.release_savepoint()
    }

    fn handle(&mut self) -> &mut (dyn Any + Send) {
        self.inner.handle()
    }
}

/// The record that a compare-and-swap reads or replaces.
struct Asked {
    id: OperationId,
    /// Whether the write resets the time since the first call.
    begins: bool,
}

type Writes = HashMap<OperationId, Times>;

/// Simulated time for a store whose clock a test cannot set: the history's time since each write is added to the age
/// that the store returns.
#[derive(Debug, Default)]
pub(super) struct AddedTime {
    now: Mutex<Duration>,
    writes: Mutex<Writes>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    written: Duration,
    first_seen: Duration,
}

impl AddedTime {
    pub(super) fn advance(&self, by: Duration) {
        *lock(&self.now) += by;
    }

    fn adjust(&self, writes: &mut Writes, asked: &Asked, swap: Swap) -> Swap {
        let now = *lock(&self.now);
        match swap {
            Swap::Swapped(revision) => {
                let earlier = writes.get(&asked.id).filter(|_| !asked.begins);
                let first_seen = earlier.map_or(now, |times| times.first_seen);
                writes.insert(
                    asked.id,
                    Times {
                        written: now,
                        first_seen,
                    },
                );
                Swap::Swapped(revision)
            }
            Swap::Held { revision, record, ages } => Swap::Held {
                revision,
                record,
                ages: writes[&asked.id].added_to(ages, now),
            },
            Swap::Gone => Swap::Gone,
        }
    }

    fn aged(&self, id: OperationId, ages: Ages) -> Ages {
        let now = *lock(&self.now);
        lock(&self.writes)[&id].added_to(ages, now)
    }
}

impl Times {
    fn added_to(self, ages: Ages, now: Duration) -> Ages {
        Ages {
            since_written: ages.since_written + now - self.written,
            since_first_seen: ages.since_first_seen + now - self.first_seen,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
