//! The rules of an operation's life, pure: state and event in, what to write and what to say out.
//!
//! Where the handler's effect is named in brackets, the arrow is of that effect only. A test draws this from the rules:
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> InProgress: first call
//!     Completed --> Completed: retry: told again
//!     Completed --> [*]: the record's time is over
//!     InProgress --> Completed: 2xx, 3xx · 4xx · 5xx (at most once) · a person: it was done (at most once)
//!     InProgress --> InProgress: retry, its lease lost: next epoch runs (rerunnable, transactional) · retry, within its lease: waits
//!     InProgress --> NotKept: too long to keep (at most once, rerunnable)
//!     InProgress --> Released: 408, 425, 429 (at most once, rerunnable) · 5xx (rerunnable) · a person: it was not done (at most once) · panic (rerunnable) · retryable (at most once, rerunnable) · time is up (rerunnable)
//!     InProgress --> Unknown: panic (at most once) · retry, its lease lost (at most once) · time is up (at most once)
//!     InProgress --> [*]: 408, 425, 429 (transactional) · 5xx (transactional) · panic (transactional) · retryable (transactional) · the record's time is over · time is up (transactional) · too long to keep (transactional)
//!     NotKept --> NotKept: retry: told again
//!     NotKept --> [*]: the record's time is over
//!     Released --> InProgress: retry: next epoch runs
//!     Released --> [*]: the record's time is over
//!     Unknown --> Completed: a person: it was done
//!     Unknown --> Released: a person: it was not done
//!     Unknown --> Unknown: retry: told again
//!     Unknown --> [*]: the record's time is over
//! ```

#[cfg(any(feature = "cli", test))]
mod settling;

use std::time::Duration;

use super::effect::Effect;
use super::outcome::{Answer, HandlerOutcome, Recorded};
use crate::problem::Kind;
use crate::record::{Ages, FirstSeen, Record, Response, State};

#[cfg(any(feature = "cli", test))]
pub(crate) use self::settling::{Finding, NothingToSettle, needs_a_person, settle};

/// How far ahead of or behind ours the caller's clock may be.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);
/// How long the caller goes on retrying.
const RETRY_WINDOW: Duration = Duration::from_secs(300);
/// How late its last retry may still arrive.
const LAST_RETRY: Duration = Duration::from_secs(30);
/// Callers may use a key again after 24 hours; an hour of that is kept in hand.
const LONGEST_TTL: Duration = Duration::from_secs(23 * 60 * 60);

/// The longest that a lost attempt may be taken to be alive: its retries are told to wait until then, and they have to
/// get their answer within the retry window.
const LONGEST_LEASE: Duration = Duration::from_secs(60);
/// The longest that a duplicate may wait: callers give up sooner or later, and its call counts as one at work.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The numbers the rules work with. Start-up refuses those that cannot keep the promise.
///
/// ```
/// use std::time::Duration;
/// use operator_runtime::{Config, Settings};
///
/// let two_hours = Duration::from_secs(2 * 60 * 60);
/// let config = Config::new().operations(Settings::default().ttl(two_hours).response_limit(64 * 1024));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub(crate) ttl: Duration,
    pub(crate) lease: Duration,
    pub(crate) renew_every: Duration,
    pub(crate) wait: Duration,
    /// In bytes.
    pub(crate) response_limit: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(60 * 60),
            lease: Duration::from_secs(15),
            renew_every: Duration::from_secs(5),
            wait: Duration::from_secs(10),
            response_limit: 256 * 1024,
        }
    }
}

/// A record that would not outlive the retries of its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "records are kept for {} s, which is too short: a caller retries for 300 s, and this endpoint may run for {} s; set `ttl` in `Config::operations` \
     to more than {} s, or lower the endpoint's `timeout`.",
    .ttl.as_secs(), .max_execution.as_secs(), .needed.as_secs()
)]
pub(crate) struct TooShort {
    ttl: Duration,
    max_execution: Duration,
    needed: Duration,
}

impl Settings {
    /// What is wrong with the numbers among themselves, whatever the endpoints are; each a sentence.
    pub(crate) fn problems(&self) -> Vec<String> {
        let Self {
            lease,
            renew_every,
            wait,
            response_limit,
            ttl,
        } = *self;
        let mut problems = Vec::new();
        if ttl > LONGEST_TTL {
            problems.push(format!(
                "`ttl` is {ttl:?}, and callers may use a key again after 24 h: make it {LONGEST_TTL:?} (23 h) or less."
            ));
        }
        if renew_every.is_zero() {
            problems.push(
                "`renew_every` is 0: say how often a running attempt gives a sign of life, such as every 5 s."
                    .to_owned(),
            );
        }
        // One sign of life may be lost or late, and the attempt still counts as alive.
        if lease.is_zero() || lease < renew_every.saturating_mul(2) {
            problems.push(format!(
                "`lease` is {lease:?} and `renew_every` is {renew_every:?}, so an attempt that is alive could be taken to be lost and run again: make the lease twice `renew_every` or more."
            ));
        }
        if lease > LONGEST_LEASE {
            problems.push(format!(
                "`lease` is {lease:?}, so the retries of an attempt that was lost would be told to wait for nearly as long as callers retry, or longer: make it {LONGEST_LEASE:?} or less."
            ));
        }
        if wait > LONGEST_WAIT {
            problems.push(format!(
                "`wait` is {wait:?}, longer than callers wait for an answer: make it {LONGEST_WAIT:?} or less."
            ));
        }
        if wait.is_zero() {
            problems.push(
                "`wait` is 0, so that a call which does not get its turn at the store at once would be told to come back: say how long it may wait, such as 10 s."
                    .to_owned(),
            );
        }
        if response_limit == 0 {
            problems.push(
                "`response_limit` is 0, so that no answer could be kept for a retry: give it in bytes.".to_owned(),
            );
        }
        problems
    }

    /// Whether a record outlives every retry of an operation that runs for `max_execution`.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn check(&self, max_execution: Duration) -> Result<(), TooShort> {
        let needed = (RETRY_WINDOW + LAST_RETRY + CLOCK_TOLERANCE).saturating_add(max_execution);
        if self.ttl > needed {
            return Ok(());
        }
        Err(TooShort {
            ttl: self.ttl,
            max_execution,
            needed,
        })
    }
}

/// What a request for an operation may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Write this over what is held; if that succeeds, run.
    Claim(Record, FirstSeen),
    /// Write this over what is held: its owner was lost and nobody may run again.
    GiveUp(Record),
    /// Write nothing, and tell the caller.
    Tell(Recorded),
}

/// What a request may do where `held` is stored, if `first` is what it writes where there is nothing.
pub(crate) fn claim(held: &Record, ages: Ages, first: &Record, effect: Effect, settings: &Settings) -> Decision {
    let alive = is_alive(held, ages, settings);
    if is_expired(held, ages, settings) {
        return Decision::Claim(first.clone(), FirstSeen::Reset);
    }
    if held.fingerprint != first.fingerprint {
        return Decision::Tell(Recorded::KeyReused);
    }
    match &held.state {
        State::InProgress if alive => Decision::Tell(Recorded::StillRunning),
        State::InProgress if effect.may_run_again() => again(held),
        State::InProgress => Decision::GiveUp(Record {
            state: State::Unknown,
            ..held.clone()
        }),
        State::Released => again(held),
        State::Completed(response) => Decision::Tell(Recorded::Replayed(response.clone())),
        State::NotKept => Decision::Tell(Recorded::ResponseNotKept),
        State::Unknown => Decision::Tell(Recorded::OutcomeUnknown),
    }
}

/// Whether an attempt runs that has given a sign of life in time.
fn is_alive(held: &Record, ages: Ages, settings: &Settings) -> bool {
    held.state == State::InProgress && ages.since_written < settings.lease
}

/// Whether the record is as if absent.
fn is_expired(held: &Record, ages: Ages, settings: &Settings) -> bool {
    ages.since_first_seen >= settings.ttl && !is_alive(held, ages, settings)
}

fn again(held: &Record) -> Decision {
    Decision::Claim(
        Record {
            epoch: held.epoch.saturating_add(1),
            state: State::InProgress,
            ..held.clone()
        },
        FirstSeen::Keep,
    )
}

/// Whether an attempt that has renewed its lease `renewals` times may do so once more: never past `max_execution`.
pub(crate) fn may_renew(renewals: u32, max_execution: Duration, settings: &Settings) -> bool {
    settings.renew_every.saturating_mul(renewals) < max_execution
}

/// What is kept of a transactional attempt that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AfterTransaction {
    /// The effects and the answer.
    Completed(Response),
    /// The answer alone.
    Refused(Response),
    /// Neither: the retry runs as if nothing had happened.
    RolledBack,
}

/// What becomes of an attempt whose effects are outside the store's transaction: its record's next state, and what its
/// caller is told.
pub(crate) fn finish(outcome: HandlerOutcome, effect: Effect, settings: &Settings) -> (State, Answer) {
    let (response, kind) = match outcome {
        HandlerOutcome::Panicked => return (after_loss(effect), Answer::Failed),
        HandlerOutcome::TimedOut => return (after_loss(effect), Answer::TimedOut),
        HandlerOutcome::Conflict => return (State::Released, Answer::TimedOut),
        HandlerOutcome::Finished { response, kind } => (response, kind),
    };
    let state = if !is_kept(response.status.as_u16(), is_retryable(kind), effect) {
        State::Released
    } else if response.body.len() > settings.response_limit {
        State::NotKept
    } else {
        State::Completed(response.to_keep())
    };
    (state, Answer::Response { response, kind })
}

fn after_loss(effect: Effect) -> State {
    if effect.may_run_again() {
        State::Released
    } else {
        State::Unknown
    }
}

/// What becomes of an attempt whose effects are in the transaction that holds the record.
pub(crate) fn finish_transaction(outcome: HandlerOutcome, settings: &Settings) -> (AfterTransaction, Answer) {
    let (response, kind) = match outcome {
        HandlerOutcome::Panicked => return (AfterTransaction::RolledBack, Answer::Failed),
        // A handler that met another transaction runs again for as long as it has time; this is told when that is up.
        HandlerOutcome::TimedOut | HandlerOutcome::Conflict => {
            return (AfterTransaction::RolledBack, Answer::TimedOut);
        }
        HandlerOutcome::Finished { response, kind } => (response, kind),
    };
    let limit = settings.response_limit;
    let after = if !is_kept(response.status.as_u16(), is_retryable(kind), Effect::Transactional) {
        AfterTransaction::RolledBack
    } else if response.body.len() > limit {
        return (AfterTransaction::RolledBack, Answer::TooLong { limit });
    } else if response.status.as_u16() >= 400 {
        AfterTransaction::Refused(response.clone())
    } else {
        AfterTransaction::Completed(response.clone())
    };
    (after, Answer::Response { response, kind })
}

fn is_retryable(kind: Option<Kind>) -> bool {
    kind.is_some_and(Kind::is_retryable)
}

/// Whether a handler's answer is for retries too, where it is not too long.
pub(crate) fn is_kept(status: u16, retryable: bool, effect: Effect) -> bool {
    !(retryable || may_come_later(status) || status >= 500 && effect.may_run_again())
}

/// 408, 425 and 429 say "not now", which is no answer to keep.
fn may_come_later(status: u16) -> bool {
    matches!(status, 408 | 425 | 429)
}

#[cfg(test)]
mod tests;
