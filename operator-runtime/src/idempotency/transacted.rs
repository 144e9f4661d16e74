//! Transactional operations: claim, handler, answer and commit in one transaction.

use std::any::Any;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{Instrument as _, Span};

use super::auditing::{self, Draft, Ending};
use super::claiming::{Claiming, Found};
use super::effect::Effect;
use super::limiting::{self, Needs};
use super::machine::{self, AfterTransaction, Settings};
use super::operations::Operations;
use super::outcome::{Answer, HandlerOutcome, Recorded};
use super::progress::{Progress, Stage};
use crate::clock::timer_now;
use crate::fail_point::FailPoint;
use crate::meter::timed;
use crate::record::operation::OperationId;
use crate::record::{FirstSeen, Record, State};
use crate::store::{
    Audit, BoxFuture, Ended, Proposal, Revision, StoreError, Swap, Transaction, Transactions, Verdict, Work,
};

/// The first and the longest pause before a transaction that a conflict has rolled back is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(200));

/// A handler, called with the store's transaction and the handler's time limit. The pipeline enforces the limit and
/// turns a panic into an outcome, so the code in this file does neither.
pub(crate) type TransactionalHandler =
    Box<dyn for<'t> FnOnce(&'t mut (dyn Any + Send), Duration) -> BoxFuture<'t, HandlerOutcome> + Send>;

/// The result of a transactional call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Transacted {
    /// The handler ran, and this is the answer.
    Ran(Answer),
    /// The handler did not run, for this reason. `StillRunning` has two causes: the store had locked the record, or an
    /// attempt without a transaction still runs. Such an attempt began before the endpoint was declared transactional.
    Told(Recorded),
    /// The store's answer to the commit was lost, and the store could not be reached to check whether the commit
    /// succeeded.
    CommitUnknown,
}

/// The result of one transaction.
struct Attempted {
    outcome: Outcome,
    /// Nothing was committed, for a temporary reason, so the call may be tried again.
    may_succeed: bool,
}

impl Attempted {
    fn failed(error: StoreError) -> Self {
        Self {
            may_succeed: matches!(error, StoreError::Interrupted { .. }),
            outcome: match error {
                StoreError::Locked { .. } => Ok(Transacted::Told(Recorded::StillRunning)),
                error => Err(error),
            },
        }
    }

    fn is_timed_out(&self) -> bool {
        matches!(self.outcome, Ok(Transacted::Ran(Answer::TimedOut)))
    }

    fn over(transacted: Transacted) -> Self {
        Self {
            outcome: Ok(transacted),
            may_succeed: false,
        }
    }
}

/// The work of one transaction.
struct Attempt {
    id: OperationId,
    first: Arc<Record>,
    max_execution: Duration,
    settings: Settings,
    progress: Arc<Progress>,
    needs: Needs,
    handler: TransactionalHandler,
    draft: Draft,
}

type Outcome = Result<Transacted, StoreError>;

/// A request for a transactional operation.
pub(crate) struct TransactionAsked {
    pub(crate) id: OperationId,
    /// The record that a first attempt writes.
    pub(crate) first: Arc<Record>,
    pub(crate) max_execution: Duration,
    /// The request as the audit describes it.
    pub(crate) draft: Draft,
}

impl Operations {
    /// Claims the operation, runs a handler and records its answer in one transaction, and returns after the commit.
    ///
    /// After a conflict with another transaction, nothing has been committed or answered, so the handler runs again.
    /// All runs and pauses together may take `max_execution`.
    ///
    /// # Errors
    /// If the store fails. If it is unknown whether the store committed, the result is [`Transacted::CommitUnknown`]
    /// instead.
    pub(crate) async fn transact(
        &self,
        asked: TransactionAsked,
        progress: &Arc<Progress>,
        needs: Needs,
        mut handler: impl FnMut() -> TransactionalHandler + Send,
    ) -> Outcome {
        let TransactionAsked {
            id,
            first,
            max_execution,
            draft,
        } = asked;
        let transactions = self.store().transactions().ok_or_else(|| {
            StoreError::Address(format!(
                "{} has no transactions for handlers: use a store with transactions, such as `sqlite:PATH`",
                self.store().describe()
            ))
        })?;
        let mut deadline = pin!(tokio::time::sleep(max_execution));
        let mut pause = RETRY.0;
        let mut left = max_execution;
        loop {
            let attempt = Attempt {
                id,
                first: Arc::clone(&first),
                max_execution: left,
                settings: *self.settings(),
                progress: Arc::clone(progress),
                needs: needs.clone(),
                handler: handler(),
                draft: draft.clone(),
            };
            let span = Span::current();
            let running = run(transactions, left, move |transaction| {
                // SQLite's transactions run on another thread. The log names the call there too.
                Box::pin(attempt.run(transaction).instrument(span))
            });
            let ended = timed(&self.meter().transaction, running).await;
            if matches!(ended, (Ended::Committed, _)) {
                FailPoint::AfterCommit.pass();
            }
            let attempted = match ended {
                (Ended::Committed | Ended::RolledBack, attempted) => {
                    attempted.unwrap_or(Attempted::failed(StoreError::TransactionEnded))
                }
                // A timeout is the likely cause of the failure, so the caller is told about the timeout.
                (Ended::Failed(_), Some(attempted)) if attempted.is_timed_out() => attempted,
                (Ended::Failed(error), _) => Attempted::failed(error),
                (Ended::CommitUnknown(error), ours) => {
                    let ours = ours.map(|ours| ours.outcome);
                    match self.look_up(transactions, id, Arc::clone(&first), &error, ours).await {
                        Some(kept) => return Ok(kept),
                        None => Attempted::failed(error),
                    }
                }
            };
            if !attempted.may_succeed {
                return attempted.outcome;
            }
            tracing::debug!(operation = ?id, "the transaction conflicted with another one and was rolled back: the handler runs again");
            tokio::select! {
                biased;
                () = &mut deadline => {
                    tracing::warn!(operation = ?id, "the transaction conflicted with others until the handler's time limit, and was rolled back");
                    return attempted.outcome;
                }
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY.1),
            }
            left = deadline.deadline().saturating_duration_since(timer_now());
        }
    }

    /// Checks whether a transaction was committed, after the store's answer to the commit was lost. The caller may get
    /// only an answer that is recorded in the store. Returns `None` if the store has no answer to this operation: then
    /// nothing was committed. The check is a claim that is rolled back, because a claim waits for a commit that is
    /// still in progress.
    async fn look_up(
        &self,
        transactions: &dyn Transactions,
        id: OperationId,
        first: Arc<Record>,
        error: &StoreError,
        ours: Option<Outcome>,
    ) -> Option<Transacted> {
        let settings = *self.settings();
        let looking = run(transactions, settings.wait, move |transaction| {
            Box::pin(async move {
                let found = claim(transaction, id, first, &settings, Audit::Nothing).await;
                (Verdict::RollBack, found.map(Found::told))
            })
        });
        let (_, stored) = looking.await;
        match (stored, ours) {
            (Some(Ok(Some(Transacted::Told(Recorded::Replayed(stored))))), Some(Ok(Transacted::Ran(ours)))) if matches!(&ours, Answer::Response { response, .. } if stored == *response) => {
                Some(Transacted::Ran(ours))
            }
            (Some(Ok(stored)), _) => stored,
            (Some(Err(_)) | None, _) => {
                tracing::error!(%error, "the answer to a commit was lost, and the store could not be reached to check whether the commit succeeded: a retry gets the outcome");
                Some(Transacted::CommitUnknown)
            }
        }
    }
}

/// Runs `work` in a transaction. Returns how the transaction ended, and the value of `work`.
async fn run<T: Send + 'static>(
    transactions: &dyn Transactions,
    limit: Duration,
    work: impl for<'t> FnOnce(&'t mut dyn Transaction) -> BoxFuture<'t, (Verdict, T)> + Send + 'static,
) -> (Ended, Option<T>) {
    let found = Arc::new(Mutex::new(None));
    let slot = found.clone();
    let work: Work = Box::new(move |transaction| {
        let working = work(transaction);
        Box::pin(async move {
            let (verdict, value) = working.await;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            verdict
        })
    });
    let ended = transactions.transact(limit, work).await;
    let value = found.lock().unwrap_or_else(PoisonError::into_inner).take();
    (ended, value)
}

impl Attempt {
    async fn run(self, transaction: &mut dyn Transaction) -> (Verdict, Attempted) {
        match self.claim_and_run(transaction).await {
            Ok(attempted) => attempted,
            Err(error) => (Verdict::RollBack, Attempted::failed(error)),
        }
    }

    async fn claim_and_run(self, transaction: &mut dyn Transaction) -> Result<(Verdict, Attempted), StoreError> {
        self.progress.reach(Stage::Claiming);
        let audit = auditing::later(&self.draft);
        if let Some(reservation) = limiting::first_reservation(self.id, &self.first, &self.needs) {
            transaction.will_reserve(reservation);
        }
        let found = claim(transaction, self.id, self.first, &self.settings, audit).await?;
        let Found::Ours { revision, record, .. } = found else {
            let answered = found.told().unwrap_or(Transacted::Told(Recorded::StillRunning));
            return Ok((Verdict::RollBack, Attempted::over(answered)));
        };
        FailPoint::AfterClaim.pass();
        let begun = timer_now();
        transaction.savepoint().wait().await?;
        // After the savepoint, so that what is reserved is undone with the effects of a handler that refuses.
        let over = limiting::reserve_in(transaction, self.id, &record, self.needs).await?;
        self.progress.reach(Stage::Running);
        let outcome = match over {
            Some(outcome) => outcome,
            None => {
                let outcome = (self.handler)(transaction.handle(), self.max_execution).await;
                outcome.or_timed_out(begun.elapsed(), self.max_execution)
            }
        };
        let may_succeed = matches!(outcome, HandlerOutcome::Conflict);
        let (after, answer) = machine::finish_transaction(outcome, &self.settings);
        let kept = match after {
            AfterTransaction::Completed(response) => {
                transaction.release_savepoint().wait().await?;
                Some(response)
            }
            AfterTransaction::Refused(response) => {
                transaction.roll_back_savepoint().wait().await?;
                Some(response)
            }
            AfterTransaction::RolledBack => None,
        };
        let verdict = match kept {
            Some(response) => {
                let state = State::Completed(response);
                let audit = auditing::row(&self.draft, Ending::of(&state, &answer), record.epoch);
                keep(transaction, self.id, revision, record, state, audit).await?;
                FailPoint::BeforeCommit.pass();
                Verdict::Commit
            }
            None => Verdict::RollBack,
        };
        let attempted = Attempted {
            outcome: Ok(Transacted::Ran(answer)),
            may_succeed,
        };
        Ok((verdict, attempted))
    }
}

async fn claim(
    transaction: &mut dyn Transaction,
    id: OperationId,
    first: Arc<Record>,
    settings: &Settings,
    audit: Audit,
) -> Result<Found, StoreError> {
    let mut claiming = Claiming::new(&first, Effect::Transactional);
    loop {
        let answer = transaction
            .swap(Proposal {
                id,
                expected: claiming.expected,
                new: Arc::clone(claiming.record()),
                first_seen: claiming.first_seen,
                audit: audit.clone(),
            })
            .wait()
            .await?;
        if let Some(found) = claiming.answer(answer, settings) {
            return Ok(found);
        }
    }
}

async fn keep(
    transaction: &mut dyn Transaction,
    id: OperationId,
    revision: Revision,
    record: Arc<Record>,
    state: State,
    audit: Audit,
) -> Result<(), StoreError> {
    let completed = Record {
        state,
        ..Arc::unwrap_or_clone(record)
    };
    match transaction
        .swap(Proposal {
            id,
            expected: Some(revision),
            new: Arc::new(completed),
            first_seen: FirstSeen::Keep,
            audit,
        })
        .wait()
        .await?
    {
        Swap::Swapped(_) => Ok(()),
        // This transaction wrote the row, so only the handler's own SQL can have changed the row.
        Swap::Held { .. } | Swap::Gone => Err(StoreError::EndedByHandler),
    }
}

impl Found {
    /// Returns `None` if this call has claimed the operation.
    fn told(self) -> Option<Transacted> {
        match self {
            Self::Ours { .. } => None,
            Self::GivenUp => Some(Transacted::Told(Recorded::OutcomeUnknown)),
            Self::Told(recorded) => Some(Transacted::Told(recorded)),
        }
    }
}

impl HandlerOutcome {
    /// Turns a failure after `max_execution` into a timeout: after that time, the store interrupts the handler's
    /// running statement, which the timer cannot interrupt.
    fn or_timed_out(self, took: Duration, max_execution: Duration) -> Self {
        let has_failed = match &self {
            Self::Finished { response, .. } => response.status.as_u16() >= 400,
            Self::Unknown => true,
            Self::Conflict | Self::Panicked | Self::TimedOut => false,
        };
        if !has_failed || took < max_execution {
            return self;
        }
        tracing::error!(
            limit_s = max_execution.as_secs_f64(),
            "the handler exceeded its time limit, and then failed"
        );
        Self::TimedOut
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests;
