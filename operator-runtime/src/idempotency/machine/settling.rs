//! What a person may say of an operation whose outcome nobody else can know: pure, as all of the rules.

use std::sync::Arc;
use std::time::Duration;

use super::{Settings, is_alive, is_expired};
use crate::idempotency::effect::Effect;
use crate::record::Ages;
use crate::record::{Record, Response, Settlement, State};

/// What a person has found out about an attempt whose outcome was unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It took effect, and this is the answer for every retry.
    Done(Response),
    /// It took no effect: a retry runs.
    NotDone,
}

/// Why there is nothing for a person to settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NothingToSettle {
    #[error("an attempt at it is running; look again once that has ended, or has given no sign of life for {} s", .lease.as_secs())]
    Running { lease: Duration },
    #[error("its attempt was lost, and it may safely run again, so the next retry runs it")]
    RunsAgain,
    #[error("its last attempt had no effect worth keeping, so the next retry runs it")]
    Released,
    #[error("it is over, and every retry gets its answer")]
    Completed,
    #[error("it is over, and only its answer was too long to keep")]
    NotKept,
    #[error("its time is over: a call with its key is a new operation")]
    Expired,
}

/// Whether nobody but a person can say what became of the operation.
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
        State::Released => Err(NothingToSettle::Released),
        State::Completed(_) => Err(NothingToSettle::Completed),
        State::NotKept => Err(NothingToSettle::NotKept),
    }
}

/// The record once a person has settled what became of its attempt. The epoch stays, and the attempt, should it turn up
/// after all, finds that the record is no longer as it left it.
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
