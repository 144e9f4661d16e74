//! One attempt at a call: runs the handler, under the lease of the call's operation if the call changes something, and
//! records the outcome.

use std::time::Duration;

use http::StatusCode;
use tokio::sync::OwnedSemaphorePermit;

use super::account::Account;
use super::execution::{Stopped, execute, was_panic_logged};
use super::large::{self, Turn};
use super::limits;
use super::operation::Operation;
use super::prepared::PreparedEndpoint;
use super::reply::{Reply, busy, not_recorded, not_taken_up, out_of_reach, reply_of, reply_of_record};
use crate::causes::with_causes;
use crate::clock::timer_now;
use crate::endpoint::invocation::{Invocation, TransactionSlot};
use crate::endpoint::output::AnswerBytes;
use crate::fail_point::FailPoint;
use crate::idempotency::admission::{Asked, Claim};
use crate::idempotency::doubtful::NotAdmitted;
use crate::idempotency::effect::Effect;
use crate::idempotency::lease::{Lease, LeaseError};
use crate::idempotency::operations::Operations;
use crate::idempotency::outcome::{Answer, HandlerOutcome};
use crate::problem::{Error, Kind};
use crate::record::operation::OperationId;
use crate::record::{JSON, Response};
use crate::store::{is_conflict, is_out_of_reach};

const OUT_OF_TIME: &str =
    "The server could not reach its store of operations in time and has not started this call. Send the call again.";

/// Runs the handler. No other function calls a handler.
pub(super) async fn run(
    endpoint: &PreparedEndpoint,
    mut invocation: Invocation,
    limit: Duration,
    transaction: TransactionSlot<'_>,
    mut lease: Option<&mut Lease>,
) -> HandlerOutcome {
    let in_transaction = transaction.0.is_some();
    let effort = invocation.effort();
    let mut started = endpoint.slow.is_some().then(timer_now);
    // Set before the handler starts, or if an extractor ends in a way that leaves open what it has done.
    let mut began = false;
    let ended = 'ended: {
        let (extracts, mut left) = (invocation.extracts(), limit);
        if extracts {
            // The time of the extractors counts toward the time limit. The future is boxed, so that a call without extractors
            // does not reserve space for it.
            let extracting_since = timer_now();
            let extracted = Box::pin(execute(invocation.extract(), limit, lease.as_deref_mut())).await;
            left = limit.saturating_sub(extracting_since.elapsed());
            match extracted {
                Ok(Ok(())) if !left.is_zero() => {}
                Ok(Err(error)) => {
                    began = error.status().is_server_error();
                    break 'ended Ok(Err(error));
                }
                stopped => {
                    began = true;
                    break 'ended Err(stopped.err().unwrap_or(Stopped::TimedOut));
                }
            }
        }
        // Outside a transaction, all but short bodies wait for a permit before they are decoded. A call in a transaction does
        // not wait, because other transactions would wait for it, and a large body is already checked. The wait comes after
        // the extractors, because they may wait for other systems. It does not count toward the handler's time limit. If it
        // is too long, the operation is released, because the handler has not started.
        let turn = if in_transaction || !large::takes_a_turn(effort) {
            None
        } else {
            let waiting_since = timer_now();
            let Ok(turn) = Box::pin(execute(Turn::wait(), large::LONGEST_WAIT, lease.as_deref_mut())).await else {
                break 'ended Ok(Err(Error::retryable(large::WAITED_TOO_LONG)));
            };
            started = started.map(|started| started + waiting_since.elapsed());
            Some(turn)
        };
        if (extracts || turn.is_some())
            && let Some(lease) = lease.as_deref_mut()
            && let Err(error) = lease.confirm().await
        {
            tracing::warn!(%error, "a handler was not started: check the store");
            break 'ended Ok(Err(Error::retryable(OUT_OF_TIME)));
        }
        let begins = &mut began;
        let handler = async move {
            let handler = large::run(effort, || (endpoint.endpoint.run)(&mut invocation, transaction));
            drop(turn);
            let handler = handler?;
            *begins = true;
            handler.await
        };
        execute(handler, left, lease.as_deref_mut()).await
    };
    if let Some(lease) = lease {
        lease.handler_began = began;
    }
    endpoint.note_pause(started);
    outcome(endpoint, limit, in_transaction, ended)
}

/// How a handler or its extractors have ended.
fn outcome(
    endpoint: &PreparedEndpoint,
    limit: Duration,
    in_transaction: bool,
    ended: Result<Result<AnswerBytes, Error>, Stopped>,
) -> HandlerOutcome {
    match ended {
        Ok(Ok(AnswerBytes(body))) => HandlerOutcome::Finished {
            response: Response {
                status: StatusCode::OK,
                content_type: JSON.into(),
                body,
            },
            kind: None,
        },
        Ok(Err(error)) if in_transaction && is_conflict(&error) => HandlerOutcome::Conflict,
        Ok(Err(error)) if error.kind() == Kind::Unwritable => {
            let cause = error.cause().map(|cause| with_causes(cause));
            tracing::error!(
                cause,
                "the value that the handler returned could not be serialized as JSON"
            );
            HandlerOutcome::Panicked
        }
        Ok(Err(error)) if error.kind() == Kind::OutcomeUnknown => {
            let cause = error.cause().map(|cause| with_causes(cause));
            tracing::error!(cause, "the handler does not know whether the operation took effect");
            HandlerOutcome::Unknown
        }
        Ok(Err(error)) => {
            if let Some(cause) = error.cause() {
                tracing::error!(status = error.status().as_u16(), cause = %with_causes(cause), "the handler failed");
            }
            // A handler that may not run again may have taken effect, so its caller must not be asked to send the call
            // again.
            let may_run_again = endpoint.endpoint.effect.may_run_again();
            if may_run_again && error.kind() == Kind::Internal && is_out_of_reach(&error) {
                return HandlerOutcome::refused(&out_of_reach());
            }
            HandlerOutcome::refused(&error)
        }
        Err(Stopped::Panicked(message)) => {
            // The panic hook of our own log has logged the panic, with its place and in the span of the call. Another
            // hook need not log.
            if !was_panic_logged() {
                tracing::error!(panic = message, "the handler panicked");
            }
            HandlerOutcome::Panicked
        }
        Err(Stopped::TimedOut) => {
            tracing::error!(
                limit_s = limit.as_secs_f64(),
                "the handler exceeded its time limit: make it faster, or raise the endpoint's `timeout` or the setting `handler_timeout`"
            );
            HandlerOutcome::TimedOut
        }
    }
}

/// Runs the handler of a read-only endpoint, which has no operation.
pub(super) async fn read(invocation: Invocation, permit: OwnedSemaphorePermit, account: Account) -> Reply {
    let limit = account.endpoint().max_execution;
    let answer = match run(account.endpoint(), invocation, limit, TransactionSlot(None), None).await {
        HandlerOutcome::Finished { response, kind } => Answer::Response { response, kind },
        // Nothing is recorded of a read, so nobody has to find out what it did.
        HandlerOutcome::Panicked | HandlerOutcome::Unknown => Answer::Failed,
        HandlerOutcome::TimedOut | HandlerOutcome::Conflict => Answer::TimedOut,
    };
    drop(permit);
    account.close(reply_of(answer, Effect::ReadOnly, None))
}

pub(super) fn asked<'i>(operation: &'i Operation, endpoint: &'i PreparedEndpoint) -> Asked<'i> {
    Asked {
        id: operation.id,
        first: &operation.first,
        effect: endpoint.endpoint.effect,
        max_execution: endpoint.max_execution,
        longest_wait: endpoint.longest_wait(),
        meter: &endpoint.meter,
        draft: &operation.draft,
    }
}

/// Returns the lease, or the reply to a call that must not run.
pub(super) fn granted(claim: Result<Claim, NotAdmitted>, id: OperationId) -> Result<Lease, Reply> {
    Err(match claim {
        Ok(Claim::Run(lease)) => return Ok(lease),
        Ok(Claim::Told(recorded)) => reply_of_record(recorded, id),
        Err(refused) => Reply::from_error(&not_taken_up(&refused.take_back())),
    })
}

/// Waits for the lease of an operation, and then runs the attempt.
#[allow(
    clippy::manual_async_fn,
    reason = "the future of an `async fn` would store the arguments twice"
)]
pub(super) fn attempt_when_granted(
    operations: Operations,
    operation: Operation,
    mut invocation: Invocation,
    permit: OwnedSemaphorePermit,
    account: Account,
) -> impl Future<Output = Reply> + Send {
    async move {
        let claim = operations.admit(&asked(&operation, account.endpoint())).await;
        let id = operation.id;
        match granted(claim, id) {
            // Boxed, because this future would otherwise store the arguments twice: as they were passed, and as it
            // moves them.
            Ok(lease) => Box::pin(attempt(lease, invocation, permit, account)).await,
            Err(reply) => {
                if reply.is_a_replayed_refusal()
                    && let Some(limits) = &account.endpoint().endpoint.limits
                {
                    let needs = limits::needs(account.endpoint(), limits, &mut invocation);
                    Box::pin(async { operations.give_back_again(id, &needs.await).await }).await;
                }
                account.close(reply)
            }
        }
    }
}

/// The error of a call whose handler has not started, because its lease was lost or its store failed.
fn not_started(error: &LeaseError) -> Error {
    match error {
        LeaseError::Store(error) => not_taken_up(error),
        LeaseError::Lost | LeaseError::Overdue => {
            tracing::warn!(%error, "a handler was not started: check the store");
            busy()
        }
    }
}

/// Runs the handler under the lease of its operation, and records the outcome.
#[allow(
    clippy::manual_async_fn,
    reason = "the future of an `async fn` would store the arguments twice"
)]
pub(super) fn attempt(
    mut lease: Lease,
    mut invocation: Invocation,
    permit: OwnedSemaphorePermit,
    account: Account,
) -> impl Future<Output = Reply> + Send {
    async move {
        FailPoint::AfterClaim.pass();
        let endpoint = account.endpoint();
        let limit = endpoint.max_execution;
        let over = match &endpoint.endpoint.limits {
            None => None,
            // Boxed, so that a call without limits does not reserve space for this future.
            Some(limits) => match Box::pin(lease.reserve(limits::needs(endpoint, limits, &mut invocation))).await {
                Ok(over) => over,
                Err(error) => {
                    lease.abandon();
                    return account.close(Reply::from_error(&not_started(&error)));
                }
            },
        };
        let outcome = match over {
            Some(outcome) => outcome,
            None => run(endpoint, invocation, limit, TransactionSlot(None), Some(&mut lease)).await,
        };
        FailPoint::BeforeCommit.pass();
        let (id, began) = (lease.id(), lease.handler_began);
        let recorded = lease.complete(outcome).await;
        FailPoint::AfterCommit.pass();
        let effect = account.endpoint().endpoint.effect;
        if effect == Effect::AtMostOnce && matches!(recorded, Ok(Answer::Failed | Answer::TimedOut | Answer::Unknown)) {
            account.endpoint().meter.unknown.increment(1);
        }
        let reply = match recorded {
            Ok(answer) => reply_of(answer, effect, Some(id)),
            Err(error) if !began => Reply::from_error(&not_started(&error)),
            Err(error) => {
                tracing::error!(%error, "the outcome of a handler was not recorded: check the store");
                Reply::from_error(&not_recorded())
            }
        };
        // The permit is held until the outcome is recorded, so that recording counts toward the limit of concurrent
        // calls.
        drop(permit);
        account.close(reply)
    }
}

#[cfg(test)]
mod tests {
    use tracing::instrument::Instrumented;

    use super::{attempt, attempt_when_granted};

    /// The future is boxed together with its span. Blocks of up to 1,032 bytes come from glibc's cache of freed blocks.
    #[test]
    fn the_future_of_an_attempt_fits_a_cached_allocation() {
        let sizes = [of_attempt(attempt), of_waiting_attempt(attempt_when_granted)];
        assert!(
            sizes.iter().all(|size| *size <= 1032),
            "the futures of an attempt have grown to {sizes:?} bytes"
        );
    }

    fn of_attempt<A, B, C, D, F>(_call: impl Fn(A, B, C, D) -> F) -> usize {
        size_of::<Instrumented<F>>()
    }

    fn of_waiting_attempt<A, B, C, D, E, F>(_call: impl Fn(A, B, C, D, E) -> F) -> usize {
        size_of::<Instrumented<F>>()
    }
}
