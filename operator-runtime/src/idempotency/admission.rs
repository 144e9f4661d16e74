//! Lets a call run, answers it from the record, or has it wait: the rules of `machine` applied to a store.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::claiming::{Claiming, Found};
use super::doubtful::{DoubtfulClaim, NotAdmitted};
use super::effect::Effect;
use super::machine::{self, After, Event, FirstSeen, Reply, Settings};
use super::operation::OperationId;
use super::record::{Record, Response, State};
use crate::clock::timer_now;
use crate::meter::{CallMeter, StoreMeter, timed};
use crate::store::{Revision, Step, Store, StoreError, Swap};

/// How soon a waiting duplicate looks again for what another process did, at first and at most.
const POLL: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// How many records one background sweep removes.
pub(crate) const SWEEP: u32 = 500;
/// Waiting duplicates are woken by bucket; one that shares a bucket looks once for nothing.
const BUCKETS: usize = 64;

/// All operations: a store and the rules.
#[derive(Debug, Clone)]
pub(crate) struct Operations(Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    meter: StoreMeter,
    pub(super) settings: Settings,
    ended: [Notify; BUCKETS],
    /// Claims that are being taken back.
    pub(super) doubtful: TaskTracker,
}

/// What a call may do.
#[derive(Debug)]
pub(crate) enum Claim {
    /// Run the handler, and complete the lease with its outcome.
    Run(Lease),
    /// Answer with what the first call was answered.
    Replay(Response),
    /// Another call runs the operation, and did not end in the time a duplicate waits.
    Busy,
    /// The key was used for another request.
    Mismatch,
    /// An attempt was lost, and its effect may have happened.
    Unknown,
    /// The operation is over, and its answer was too long to keep.
    NotKept,
}

/// How a handler ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HandlerOutcome {
    /// With a response; `retryable` if the handler marked its error so.
    Finished {
        response: Response,
        retryable: bool,
    },
    /// With an error, because another transaction was in the way of its own, which is undone.
    Conflict,
    Panicked,
    TimedOut,
}

/// What the caller of an attempt that has ended is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Response(Response),
    /// That the handler failed, without inner text.
    Failed,
    TimedOut,
    /// That the response was longer than this many bytes, which are kept, and its effects were undone.
    TooLong {
        limit: usize,
    },
}

/// Why the end of an attempt is not recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseError {
    #[error("another attempt has taken the operation over, because this one gave no sign of life for too long")]
    Lost,
    #[error("the handler has run for longer than its endpoint allows, so its lease is left to run out")]
    Overdue,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Operations {
    pub(crate) fn new(store: Arc<dyn Store>, settings: Settings) -> Self {
        store.keep_for(settings.ttl);
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

    /// Waits until no claim is being taken back any more, which takes about a lease at most.
    pub(crate) async fn settle_doubts(&self) {
        self.0.doubtful.close();
        self.0.doubtful.wait().await;
    }

    /// Counts the store's records for the gauge.
    ///
    /// # Errors
    /// If the store cannot.
    pub(crate) async fn count(&self) -> Result<(), StoreError> {
        let Shared {
            store, meter, settings, ..
        } = &*self.0;
        let counts = timed(&meter.count, store.count(settings.lease)).await?;
        meter.records(counts);
        Ok(())
    }

    /// Removes one small batch of expired records, and says how many it removed: [`SWEEP`] where there may be more.
    ///
    /// # Errors
    /// If the store cannot.
    pub(crate) async fn sweep(&self) -> Result<u32, StoreError> {
        let Shared {
            store, meter, settings, ..
        } = &*self.0;
        timed(&meter.sweep, store.sweep(settings.ttl, SWEEP)).await
    }

    /// What a call may do, where the store answers at once and no attempt is waited for; else `None`, and nothing has
    /// been started.
    ///
    /// # Errors
    /// As [`admit`](Self::admit).
    pub(crate) fn admit_at_once(&self, asked: &Asked<'_>) -> Option<Result<Claim, NotAdmitted>> {
        let mut claiming = Claiming::new(asked.first, asked.effect);
        loop {
            let Step::Now(answer) = self.0.ask(asked.id, &claiming) else {
                return None;
            };
            match self.take_in(asked, &mut claiming, answer) {
                Ok(Next::Ask) => {}
                Ok(Next::Wait) => return None,
                Ok(Next::Claimed(claim)) => return Some(Ok(claim)),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// What a call may do; where the operation runs already, it waits for that first.
    ///
    /// A future dropped while the store writes may leave a claim that nobody holds, until its lease runs out; so it
    /// has to be polled to its end even if the caller hangs up.
    ///
    /// # Errors
    /// If the store cannot answer: then nothing has been started.
    pub(crate) async fn admit(&self, asked: &Asked<'_>) -> Result<Claim, NotAdmitted> {
        match self.claim(asked).await? {
            Some(claim) => Ok(claim),
            // On the heap, so that a first call does not carry the room for waiting about.
            None => {
                asked.meter.waits.increment(1);
                Box::pin(self.claim_when_ended(asked)).await
            }
        }
    }

    async fn claim_when_ended(&self, asked: &Asked<'_>) -> Result<Claim, NotAdmitted> {
        let mut deadline = pin!(tokio::time::sleep(self.0.settings.wait));
        let mut pause = POLL.0;
        loop {
            // Listening before looking, so that an end in between is not missed.
            let mut ended = pin!(self.0.ended(&asked.id).notified());
            ended.as_mut().enable();
            if let Some(claim) = self.claim(asked).await? {
                return Ok(claim);
            }
            // Only the waiting may be cut short; a claim that is under way may not.
            tokio::select! {
                biased;
                () = &mut deadline => return Ok(Claim::Busy),
                () = ended => {}
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(POLL.1),
            }
        }
    }

    /// `None` while another attempt is alive.
    async fn claim(&self, asked: &Asked<'_>) -> Result<Option<Claim>, NotAdmitted> {
        let mut claiming = Claiming::new(asked.first, asked.effect);
        loop {
            let answer = self.0.timed(self.0.ask(asked.id, &claiming)).await;
            match self.take_in(asked, &mut claiming, answer)? {
                Next::Ask => {}
                Next::Wait => return Ok(None),
                Next::Claimed(claim) => return Ok(Some(claim)),
            }
        }
    }

    /// What an answer of the store comes to.
    fn take_in(
        &self,
        asked: &Asked<'_>,
        claiming: &mut Claiming<'_>,
        answer: Result<Swap, StoreError>,
    ) -> Result<Next, NotAdmitted> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(StoreError::Locked { .. }) => return Ok(Next::Wait),
            Err(error) => {
                let claim = DoubtfulClaim::of(&self.0, asked.id, claiming.record(), &error);
                return Err(NotAdmitted { error, claim });
            }
        };
        let Some(found) = claiming.answer(answer, &self.0.settings) else {
            return Ok(Next::Ask);
        };
        Ok(Next::Claimed(match found {
            Found::Ours {
                revision,
                record,
                since_first_seen,
                takes_over,
            } => {
                asked.meter.takeovers.increment(u64::from(takes_over));
                Claim::Run(self.lease(asked, revision, record, since_first_seen))
            }
            Found::Replay(response) => Claim::Replay(response),
            Found::Running => return Ok(Next::Wait),
            Found::Mismatch => Claim::Mismatch,
            Found::GivenUp => {
                asked.meter.unknown.increment(1);
                Claim::Unknown
            }
            Found::Unknown => Claim::Unknown,
            Found::NotKept => Claim::NotKept,
        }))
    }

    fn lease(&self, asked: &Asked<'_>, revision: Revision, record: Arc<Record>, since_first_seen: Duration) -> Lease {
        Lease {
            forgotten_at: timer_now() + self.0.settings.ttl.saturating_sub(since_first_seen),
            in_doubt: false,
            operations: self.0.clone(),
            id: asked.id,
            effect: asked.effect,
            max_execution: asked.max_execution,
            revision,
            record,
            renewals: 0,
        }
    }
}

/// Which operation is asked for, and what it may do.
pub(crate) struct Asked<'m> {
    pub(crate) id: OperationId,
    /// What a first attempt writes.
    pub(crate) first: &'m Arc<Record>,
    pub(crate) effect: Effect,
    pub(crate) max_execution: Duration,
    pub(crate) meter: &'m CallMeter,
}

/// What is to be done about a claim.
enum Next {
    Ask,
    /// Until another attempt has ended.
    Wait,
    Claimed(Claim),
}

impl Shared {
    pub(super) fn ended(&self, id: &OperationId) -> &Notify {
        &self.ended[usize::from(id.as_bytes()[0]) % BUCKETS]
    }

    /// Asks the store for what a claim asks next.
    fn ask(&self, id: OperationId, claiming: &Claiming<'_>) -> Step<'_, Result<Swap, StoreError>> {
        let next = Arc::clone(claiming.record());
        self.store.swap(id, claiming.expected, next, claiming.first_seen)
    }

    /// Waits for the store's answer. One that is there at once is not timed.
    #[allow(clippy::manual_async_fn, reason = "an `async fn` would keep room for the step twice")]
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

/// The right to run an operation. Dropped, it does nothing, and is lost when its time has run out.
#[derive(Debug)]
#[must_use = "an operation that is not completed blocks its retries until the lease runs out"]
pub(crate) struct Lease {
    operations: Arc<Shared>,
    id: OperationId,
    effect: Effect,
    max_execution: Duration,
    revision: Revision,
    /// What the attempt has claimed the operation with.
    record: Arc<Record>,
    renewals: u32,
    /// A sign of life was sent, and its answer has not arrived: it may have been written.
    in_doubt: bool,
    /// Until then the store keeps the operation, and so knows its attempts apart by their epochs.
    forgotten_at: Instant,
}

impl Lease {
    /// How often [`renew`](Self::renew) has to be called while the handler runs.
    pub(crate) fn renew_every(&self) -> Duration {
        self.operations.settings.renew_every
    }

    /// Which attempt this is: 1, 2, ….
    #[cfg(test)]
    pub(super) fn epoch(&self) -> u32 {
        self.record.epoch
    }

    /// Gives a sign of life.
    ///
    /// A store that fails once may answer the next time, so the handler runs on.
    ///
    /// # Errors
    /// If the operation has been taken over, has run for too long, or the store cannot write.
    pub(crate) async fn renew(&mut self) -> Result<(), LeaseError> {
        if !machine::may_renew(self.renewals, self.max_execution, &self.operations.settings) {
            return Err(LeaseError::Overdue);
        }
        self.in_doubt = true;
        self.write(State::InProgress).await?;
        self.in_doubt = false;
        self.renewals += 1;
        Ok(())
    }

    /// Records how the attempt ended, wakes waiting duplicates, and says what to tell the caller.
    ///
    /// # Errors
    /// If the operation has been taken over, or the store cannot write: then the caller must not be told of success.
    pub(crate) fn complete(
        mut self,
        outcome: HandlerOutcome,
    ) -> impl Future<Output = Result<Answer, LeaseError>> + Send {
        let (after, reply) = machine::finish(outcome.event(), self.effect, &self.operations.settings);
        let state = match (after, &outcome) {
            (After::Completed, HandlerOutcome::Finished { response, .. }) => State::Completed(response.clone()),
            (After::NotKept, _) => State::NotKept,
            (After::Unknown, _) => State::Unknown,
            (After::Released | After::Completed, _) => State::Released,
        };
        let answer = outcome.answer(reply);
        async move {
            self.write(state).await?;
            self.operations.ended(&self.id).notify_waiters();
            Ok(answer)
        }
    }

    /// Writes a state, which only the last one to have written may: this attempt, too, where the answer to its last
    /// sign of life has not arrived.
    async fn write(&mut self, mut state: State) -> Result<(), LeaseError> {
        loop {
            let again = self.in_doubt.then(|| state.clone());
            let record = self.record(state);
            let Shared { store, .. } = &*self.operations;
            let swap = store.swap(self.id, Some(self.revision), record, FirstSeen::Keep);
            match (self.operations.timed(swap).await?, again) {
                (Swap::Swapped(revision), _) => {
                    self.revision = revision;
                    return Ok(());
                }
                (Swap::Held { revision, record, .. }, Some(again)) if self.is_own(&record) => {
                    self.revision = revision;
                    state = again;
                }
                (Swap::Held { .. } | Swap::Gone, _) => return Err(LeaseError::Lost),
            }
        }
    }

    fn record(&self, state: State) -> Arc<Record> {
        Arc::new(Record {
            state,
            ..Record::clone(&self.record)
        })
    }

    /// Whether it is what a sign of life of this attempt has written.
    fn is_own(&self, held: &Record) -> bool {
        *held == *self.record && timer_now() < self.forgotten_at
    }
}

impl HandlerOutcome {
    pub(super) fn event(&self) -> Event {
        match self {
            Self::Finished { response, retryable } => Event::Finished {
                status: response.status,
                retryable: *retryable,
                size: response.body.len(),
            },
            // As an error that is marked retryable.
            Self::Conflict => Event::Finished {
                status: 503,
                retryable: true,
                size: 0,
            },
            Self::Panicked => Event::Panicked,
            Self::TimedOut => Event::TimedOut,
        }
    }

    pub(super) fn answer(self, reply: Reply) -> Answer {
        match (reply, self) {
            (Reply::Response, Self::Finished { response, .. }) => Answer::Response(response),
            // It runs again for as long as it has time, so this is told when that is up.
            (Reply::TimedOut, _) | (_, Self::Conflict) => Answer::TimedOut,
            (Reply::TooLong { limit }, _) => Answer::TooLong { limit },
            (Reply::Failed | Reply::Response, _) => Answer::Failed,
        }
    }
}

#[cfg(test)]
mod tests;
