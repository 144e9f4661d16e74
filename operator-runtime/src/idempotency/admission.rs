//! Admission decides whether a call runs, is answered from the record, or waits. It applies the rules of `machine` to a
//! store.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::auditing::{self, Draft, Ending};
use super::claiming::{Claiming, Found};
use super::doubtful::{DoubtfulClaim, NotAdmitted};
use super::effect::Effect;
use super::lease::Lease;
use super::operations::Operations;
use super::outcome::Recorded;
use crate::clock::timer_now;
use crate::meter::CallMeter;
use crate::record::operation::OperationId;
use crate::record::{Record, State};
use crate::store::{Proposal, Step, StoreError, Swap};

/// The first and the longest pause between two reads of the store by a waiting duplicate. The duplicate has to poll,
/// because an attempt in another process cannot wake it.
const POLL: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// What a call may do.
#[derive(Debug)]
pub(crate) enum Claim {
    /// Run the handler, then record its outcome with `Lease::complete`.
    Run(Lease),
    /// Answer the caller from the record. A duplicate whose wait has timed out is told that the operation is still
    /// running.
    Told(Recorded),
}

impl Operations {
    /// Decides what a call may do, if the store answers at once and the call need not wait for another attempt.
    /// Otherwise returns `None`, and nothing has been started.
    ///
    /// # Errors
    /// The same errors as [`admit`](Self::admit).
    pub(crate) fn admit_at_once(&self, asked: &Asked<'_>) -> Option<Result<Claim, NotAdmitted>> {
        let mut claiming = Claiming::new(asked.first, asked.effect);
        let asked_at = timer_now();
        loop {
            let Step::Now(answer) = self.ask(asked, &claiming) else {
                return None;
            };
            match self.take_in(asked, asked_at, &mut claiming, answer) {
                Ok(Next::Ask) => {}
                Ok(Next::Wait) => return None,
                Ok(Next::Claimed(claim)) => return Some(Ok(claim)),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Decides what a call may do. If the operation is already running, this function first waits for its outcome.
    ///
    /// Poll the future to its end even if the caller disconnects. If the future is dropped while the store writes, the
    /// store may keep a claim without an attempt until the lease expires.
    ///
    /// # Errors
    /// If the store cannot answer. Then nothing has been started.
    pub(crate) async fn admit(&self, asked: &Asked<'_>) -> Result<Claim, NotAdmitted> {
        match self.claim(asked).await? {
            Some(claim) => Ok(claim),
            // The waiting is boxed to keep this future small: most calls are first calls, which do not wait.
            None => {
                asked.meter.waits.increment(1);
                Box::pin(self.claim_when_ended(asked)).await
            }
        }
    }

    async fn claim_when_ended(&self, asked: &Asked<'_>) -> Result<Claim, NotAdmitted> {
        let mut deadline = pin!(tokio::time::sleep(self.0.settings.wait.min(asked.longest_wait)));
        let mut pause = POLL.0;
        loop {
            // The wake-up is registered before the claim. Otherwise the duplicate would miss an attempt that ends
            // between the claim and the registration.
            let mut ended = pin!(self.0.ended(&asked.id).notified());
            ended.as_mut().enable();
            if let Some(claim) = self.claim(asked).await? {
                return Ok(claim);
            }
            // The deadline cancels only the waiting, never a claim that the store is writing.
            tokio::select! {
                biased;
                () = &mut deadline => return Ok(Claim::Told(Recorded::StillRunning)),
                () = ended => {}
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(POLL.1),
            }
        }
    }

    /// Returns `None` while another attempt is alive.
    async fn claim(&self, asked: &Asked<'_>) -> Result<Option<Claim>, NotAdmitted> {
        let mut claiming = Claiming::new(asked.first, asked.effect);
        let asked_at = timer_now();
        loop {
            let answer = self.0.timed(self.ask(asked, &claiming)).await;
            match self.take_in(asked, asked_at, &mut claiming, answer)? {
                Next::Ask => {}
                Next::Wait => return Ok(None),
                Next::Claimed(claim) => return Ok(Some(claim)),
            }
        }
    }

    /// Applies an answer of the store to the claim, and returns the next step.
    fn take_in(
        &self,
        asked: &Asked<'_>,
        asked_at: Instant,
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
                let forgotten_at = timer_now() + self.0.settings.ttl.saturating_sub(since_first_seen);
                Claim::Run(Lease {
                    operations: Arc::clone(&self.0),
                    id: asked.id,
                    effect: asked.effect,
                    max_execution: asked.max_execution,
                    revision,
                    record,
                    held_at: asked_at,
                    handler_began: false,
                    renewals: 0,
                    in_doubt: false,
                    forgotten_at,
                    reserved: None,
                    draft: asked.draft.clone(),
                })
            }
            Found::GivenUp => {
                asked.meter.unknown.increment(1);
                Claim::Told(Recorded::OutcomeUnknown)
            }
            Found::Told(Recorded::StillRunning) => return Ok(Next::Wait),
            Found::Told(recorded) => Claim::Told(recorded),
        }))
    }

    /// Asks the store for the next compare-and-swap of the claim.
    fn ask(&self, asked: &Asked<'_>, claiming: &Claiming<'_>) -> Step<'_, Result<Swap, StoreError>> {
        let next = Arc::clone(claiming.record());
        let audit = match next.state {
            State::Unknown => auditing::row(asked.draft, Some(Ending::unknown()), next.epoch),
            _ => auditing::later(asked.draft),
        };
        self.0.store.swap(Proposal {
            id: asked.id,
            expected: claiming.expected,
            new: next,
            first_seen: claiming.first_seen,
            audit,
        })
    }
}

/// A request for an operation, with what its endpoint declares.
pub(crate) struct Asked<'m> {
    pub(crate) id: OperationId,
    /// The record that a first attempt writes.
    pub(crate) first: &'m Arc<Record>,
    pub(crate) effect: Effect,
    pub(crate) max_execution: Duration,
    /// How long this request waits for a running attempt, if that is shorter than the setting.
    pub(crate) longest_wait: Duration,
    pub(crate) meter: &'m CallMeter,
    /// The request as the audit describes it.
    pub(crate) draft: &'m Draft,
}

/// The next step of a claim.
enum Next {
    Ask,
    /// Wait until another attempt has ended.
    Wait,
    Claimed(Claim),
}

#[cfg(test)]
mod tests;
