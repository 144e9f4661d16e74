//! The rules for an operation, as pure functions: a state and an event decide what to write and what to answer.
//!
//! An effect in parentheses: the arrow exists only for this effect. A test generates the diagram from the rules:
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> InProgress: first call
//!     Completed --> Completed: retry: same answer
//!     Completed --> [*]: the record expires
//!     InProgress --> Completed: 2xx, 3xx · 4xx · 5xx (at most once) · a person: it was done (at most once)
//!     InProgress --> InProgress: retry, lease expired: next attempt runs (rerunnable, transactional) · retry, within the lease: waits
//!     InProgress --> NotKept: too long to keep (at most once, rerunnable)
//!     InProgress --> Released: 408, 425, 429 (at most once, rerunnable) · 5xx (rerunnable) · a person: it was not done (at most once) · panic (rerunnable) · retryable (at most once, rerunnable) · time limit (rerunnable) · unknown to the handler (rerunnable)
//!     InProgress --> Unknown: panic (at most once) · retry, lease expired (at most once) · time limit (at most once) · unknown to the handler (at most once)
//!     InProgress --> [*]: 408, 425, 429 (transactional) · 5xx (transactional) · panic (transactional) · retryable (transactional) · the record expires · time limit (transactional) · too long to keep (transactional) · unknown to the handler (transactional)
//!     NotKept --> NotKept: retry: same answer
//!     NotKept --> [*]: the record expires
//!     Released --> InProgress: retry: next attempt runs
//!     Released --> [*]: the record expires
//!     Unknown --> Completed: a person: it was done
//!     Unknown --> Released: a person: it was not done
//!     Unknown --> Unknown: retry: same answer
//!     Unknown --> [*]: the record expires
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

/// How far the caller's clock may differ from the server's clock.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);
/// For how long the caller retries.
const RETRY_WINDOW: Duration = Duration::from_secs(300);
/// How long after the retry window the caller's last retry may still arrive.
const LAST_RETRY: Duration = Duration::from_secs(30);
/// Callers may use a key again after 24 hours; this leaves a safety margin of one hour.
const LONGEST_TTL: Duration = Duration::from_secs(23 * 60 * 60);

/// The longest allowed `lease`. After a crash, retries are told to wait until the lease expires, and they must still
/// get their answer within the retry window.
const LONGEST_LEASE: Duration = Duration::from_secs(60);
/// The longest allowed `wait`. Callers give up after some time, and a waiting call counts toward the limit of
/// concurrent calls.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The times and sizes that the rules for operations use. Start-up refuses values that would break the promise.
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

/// A `ttl` so short that a record would expire before the last retry of its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "records are kept for {} s, which is too short: callers retry for 300 s, and this endpoint may run for {} s; set `ttl` in `Config::operations` \
     to more than {} s, or lower the endpoint's `timeout`.",
    .ttl.as_secs(), .max_execution.as_secs(), .needed.as_secs()
)]
pub(crate) struct TooShort {
    ttl: Duration,
    max_execution: Duration,
    needed: Duration,
}

impl Settings {
    /// What is wrong with these values for every endpoint, one sentence for each problem.
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
                "`ttl` is {ttl:?}, but callers may use a key again after 24 h: set `ttl` to {LONGEST_TTL:?} (23 h) or less."
            ));
        }
        if renew_every.is_zero() {
            problems.push(
                "`renew_every` is 0, but a running attempt must renew its lease at intervals: set `renew_every`, for example, to 5 s."
                    .to_owned(),
            );
        }
        // With twice `renew_every`, an attempt still counts as alive if one renewal is lost or late.
        if lease.is_zero() || lease < renew_every.saturating_mul(2) {
            problems.push(format!(
                "`lease` is {lease:?} and `renew_every` is {renew_every:?}, so a running attempt could count as lost and run again: set `lease` to at least twice `renew_every`."
            ));
        }
        if lease > LONGEST_LEASE {
            problems.push(format!(
                "`lease` is {lease:?}, so the retries of a lost attempt would have to wait for nearly as long as callers retry, or longer: set `lease` to {LONGEST_LEASE:?} or less."
            ));
        }
        if wait > LONGEST_WAIT {
            problems.push(format!(
                "`wait` is {wait:?}, which is longer than callers wait for an answer: set `wait` to {LONGEST_WAIT:?} or less."
            ));
        }
        if wait.is_zero() {
            problems.push(
                "`wait` is 0, so a call that cannot use the store at once would be refused with `Retry-After`: set `wait`, for example, to 10 s."
                    .to_owned(),
            );
        }
        if response_limit == 0 {
            problems.push(
                "`response_limit` is 0, so no answer could be kept for a retry: set `response_limit` to a number of bytes, for example 262144.".to_owned(),
            );
        }
        problems
    }

    /// Checks that a record outlives every retry of an operation that runs for `max_execution`.
    ///
    /// # Errors
    /// If `ttl` is too short for that.
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
    /// Replace the stored record with this one, and run the handler if the write succeeds.
    Claim(Record, FirstSeen),
    /// Replace the stored record with this one: the attempt was lost, and the handler must not run again.
    GiveUp(Record),
    /// Write nothing, and answer the caller from the record.
    Tell(Recorded),
}

/// What a request may do if `held` is the stored record. `first` is the record to write if no record is stored.
pub(crate) fn claim(held: Record, ages: Ages, first: &Record, effect: Effect, settings: &Settings) -> Decision {
    let alive = is_alive(&held, ages, settings);
    if is_expired(&held, ages, settings) {
        return Decision::Claim(first.clone(), FirstSeen::Reset);
    }
    if held.fingerprint != first.fingerprint {
        return Decision::Tell(Recorded::KeyReused);
    }
    match held.state {
        State::InProgress if alive => Decision::Tell(Recorded::StillRunning),
        State::InProgress if effect.may_run_again() => again(held),
        State::InProgress => Decision::GiveUp(Record {
            state: State::Unknown,
            ..held
        }),
        State::Released => again(held),
        State::Completed(response) => Decision::Tell(Recorded::Replayed(response)),
        State::NotKept => Decision::Tell(Recorded::ResponseNotKept),
        State::Unknown => Decision::Tell(Recorded::OutcomeUnknown),
    }
}

/// Whether an attempt is in progress and its lease has not run out.
fn is_alive(held: &Record, ages: Ages, settings: &Settings) -> bool {
    held.state == State::InProgress && ages.since_written < settings.lease
}

/// Whether the record has expired, and so counts as absent.
fn is_expired(held: &Record, ages: Ages, settings: &Settings) -> bool {
    ages.since_first_seen >= settings.ttl && !is_alive(held, ages, settings)
}

fn again(held: Record) -> Decision {
    Decision::Claim(
        Record {
            epoch: held.epoch.saturating_add(1),
            state: State::InProgress,
            ..held
        },
        FirstSeen::Keep,
    )
}

/// Whether an attempt may renew its lease once more after `renewals` renewals. No lease is renewed after
/// `max_execution`.
pub(crate) fn may_renew(renewals: u32, max_execution: Duration, settings: &Settings) -> bool {
    settings.renew_every.saturating_mul(renewals) < max_execution
}

/// What a transaction with a finished handler leaves in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AfterTransaction {
    /// The effects and the answer.
    Completed(Response),
    /// The answer without the effects.
    Refused(Response),
    /// Neither effects nor answer: a retry runs as if nothing had happened.
    RolledBack,
}

/// The next state of the record of an attempt without a transaction, and the answer for its caller.
pub(crate) fn finish(outcome: HandlerOutcome, effect: Effect, settings: &Settings) -> (State, Answer) {
    let (response, kind) = match outcome {
        HandlerOutcome::Panicked => return (after_loss(effect), Answer::Failed),
        HandlerOutcome::TimedOut => return (after_loss(effect), Answer::TimedOut),
        HandlerOutcome::Unknown => return (after_loss(effect), Answer::Unknown),
        HandlerOutcome::Conflict => return (State::Released, Answer::TimedOut),
        HandlerOutcome::Finished { response, kind } => (response, kind),
    };
    let state = if !is_kept(response.status.as_u16(), is_retryable(kind), effect) {
        State::Released
    } else if response.body.len() > settings.response_limit {
        State::NotKept
    } else {
        State::Completed(response.clone())
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

/// What the transaction leaves in the database after the handler has ended, and the answer for the caller.
pub(crate) fn finish_transaction(outcome: HandlerOutcome, settings: &Settings) -> (AfterTransaction, Answer) {
    let (response, kind) = match outcome {
        // A handler's doubt ends with the rollback: nothing that it did in the transaction has taken effect.
        HandlerOutcome::Panicked | HandlerOutcome::Unknown => {
            return (AfterTransaction::RolledBack, Answer::Failed);
        }
        // A handler whose transaction conflicts with another transaction runs again until its time limit. So if even
        // the last run ends in a conflict, the caller gets a timeout.
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

/// Whether retries get the handler's answer, unless the answer is too long to keep.
pub(crate) fn is_kept(status: u16, retryable: bool, effect: Effect) -> bool {
    !(retryable || may_come_later(status) || status >= 500 && effect.may_run_again())
}

/// 408, 425 and 429 mean "not now", so a later call may get another answer.
fn may_come_later(status: u16) -> bool {
    matches!(status, 408 | 425 | 429)
}

#[cfg(test)]
mod tests;
