//! Finds out what a call needs of the limits of its endpoint, from its inputs.

use super::large::{self, Turn};
use super::prepared::PreparedEndpoint;
use crate::endpoint::EndpointLimits;
use crate::endpoint::invocation::Invocation;
use crate::idempotency::limiting::{Needed, Needs};
use crate::idempotency::outcome::HandlerOutcome;
use crate::input::identity;
use crate::problem::Error;

/// What a call needs of the limits. A body that is not short is decoded in turn, as for the handler.
pub(super) async fn needs(endpoint: &PreparedEndpoint, limits: &EndpointLimits, invocation: &mut Invocation) -> Needs {
    let effort = invocation.effort();
    let Ok(turn) = Turn::of(effort).await else {
        return Err(HandlerOutcome::refused(&Error::retryable(large::WAITED_TOO_LONG)));
    };
    let needs = large::run(effort, || read(endpoint, limits, invocation));
    drop(turn);
    needs
}

fn read(endpoint: &PreparedEndpoint, limits: &EndpointLimits, invocation: &Invocation) -> Needs {
    needed(endpoint, limits, invocation).map_err(|error| HandlerOutcome::refused(&error))
}

/// # Errors
/// The error for wrong inputs that the handler's own decoding would give, because the handler does not start then.
fn needed(prepared: &PreparedEndpoint, limits: &EndpointLimits, invocation: &Invocation) -> Result<Vec<Needed>, Error> {
    let amounts = (limits.amounts)(invocation)?;
    let endpoint = prepared.endpoint;
    let kept = &invocation.call().kept;
    let mut needs = Vec::with_capacity(amounts.len());
    for (limit, amount) in limits.limits.iter().zip(amounts).filter(|(_, amount)| *amount > 0) {
        let per = match limit.per {
            [] => String::new(),
            names => identity(&prepared.arguments.inputs, endpoint.inputs, names, kept.content())?,
        };
        let value = limit.value(kept.key().tenant(), endpoint.name, &per);
        needs.push(Needed { limit, value, amount });
    }
    needs.sort_unstable_by_key(|needed| needed.value);
    Ok(needs)
}
