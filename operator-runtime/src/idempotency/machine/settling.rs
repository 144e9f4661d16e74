//! The rules by which a person settles an operation whose outcome is unknown, as pure functions.

use std::sync::Arc;
use std::time::Duration;

use super::{Settings, is_alive, is_expired};
use crate::idempotency::effect::Effect;
use crate::record::Ages;
use crate::record::{Record, Response, Settlement, State};

/// What a person has found out about an attempt whose outcome was unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The operation took effect. Every retry gets this answer.
    Done(Response),
    /// The operation did not take effect. A retry runs the handler.
    NotDone,
}

/// Why there is nothing for a person to settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NothingToSettle {
    #[error("an attempt is running: try again after the attempt has ended, or {} s after its last lease renewal", .lease.as_secs())]
    Running { lease: Duration },
    #[error("its attempt was lost, but the handler may safely run again: the next retry runs the handler")]
    RunsAgain,
    #[error("its last attempt left no answer to keep: the next retry runs the handler")]
    Released,
    #[error("a person has already said that it was not done: the next retry runs the handler")]
    SettledAsNotDone,
    #[error("it is completed, and every retry gets its answer")]
    Completed,
    #[error("it is completed, but its answer was too long to keep")]
    NotKept,
    #[error("its record has expired: a call with its key is a new operation")]
    Expired,
}

/// Checks that only a person can find out the outcome of the operation.
pub(crate) fn needs_a_person(
    held: &Record,
    ages: Ages,
    effect: Effect,
    settings: &Settings,
) -> Result<(), NothingToSettle> {
    if is_expired(held, ages, settings) {
        return Err(NothingToSettle::Expired);
    }
    match &held.state {
        State::InProgress if is_alive(held, ages, settings) => Err(NothingToSettle::Running { lease: settings.lease }),
        State::InProgress if effect.may_run_again() => Err(NothingToSettle::RunsAgain),
        State::InProgress | State::Unknown => Ok(()),
        // A handler that may run again can have acted after the settlement and left no answer.
        State::Released if held.settlement.is_some() && !effect.may_run_again() => {
            Err(NothingToSettle::SettledAsNotDone)
        }
        State::Released => Err(NothingToSettle::Released),
        State::Completed(_) => Err(NothingToSettle::Completed),
        State::NotKept => Err(NothingToSettle::NotKept),
    }
}

/// The record after a person has settled its operation. The epoch does not change: if the lost attempt continues after
/// all, its write fails because the record has a new revision.
pub(crate) fn settle(
    held: Record,
    ages: Ages,
    effect: Effect,
    settings: &Settings,
    finding: &Finding,
    settlement: &Arc<Settlement>,
) -> Result<Record, NothingToSettle> {
    needs_a_person(&held, ages, effect, settings)?;
    Ok(Record {
        state: match finding {
            Finding::Done(response) => State::Completed(response.clone()),
            Finding::NotDone => State::Released,
        },
        settlement: Some(Arc::clone(settlement)),
        ..held
    })
}
