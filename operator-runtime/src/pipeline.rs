//! One call, straight down: verify, admit, run, record, reply. Transport-free; the only caller of a handler.

mod transactional;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::request::Parts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span};

use crate::account::Account;
use crate::bound::BoundEndpoint;
use crate::causes::with_causes;
use crate::clock::Clock;
use crate::detached::Detached;
use crate::execution::{Ended, execute};
use crate::fail_point::FailPoint;
use crate::idempotency::admission::{Asked, Claim};
use crate::idempotency::doubtful::NotAdmitted;
use crate::idempotency::effect::Effect;
use crate::idempotency::lease::Lease;
use crate::idempotency::operation::OperationId;
use crate::idempotency::operations::Operations;
use crate::idempotency::outcome::{Answer, HandlerOutcome};
use crate::idempotency::record::Response;
use crate::invocation::{Invocation, Operation, TransactionSlot};
use crate::meter::Outcome;
use crate::output::AnswerBytes;
use crate::problem::{Error, Kind};
#[cfg(feature = "mcp")]
use crate::protocol::bearer::{Bearer, ToolCall};
use crate::protocol::request::{Unverified, Verified};
use crate::reply::{
    Reply, busy, mismatch, not_kept, not_recorded, not_taken_up, refuse, reply_of, response_of, unknown,
};
use crate::store::{StoreError, is_conflict};
use crate::under_way::UnderWay;

const JSON: &str = "application/json";

/// What every endpoint of an app shares.
pub(crate) struct Pipeline {
    operations: Operations,
    clock: Arc<dyn Clock>,
    permits: Arc<Semaphore>,
    bodies: Semaphore,
    stopping: AtomicBool,
    running: TaskTracker,
    transactions: UnderWay,
}

impl Pipeline {
    pub(crate) fn new(operations: Operations, clock: Arc<dyn Clock>, concurrency: usize) -> Self {
        let concurrency = concurrency.min(Semaphore::MAX_PERMITS);
        Self {
            operations,
            clock,
            permits: Arc::new(Semaphore::new(concurrency)),
            bodies: Semaphore::new(concurrency),
            stopping: AtomicBool::new(false),
            running: TaskTracker::new(),
            transactions: UnderWay::default(),
        }
    }

    /// Answers a call whose body has arrived whole.
    pub(crate) fn answer<'p>(
        &'p self,
        endpoint: &Arc<BoundEndpoint>,
        head: Parts,
        body: Bytes,
    ) -> impl Future<Output = Reply> + Send + 'p {
        // Before the future, which so carries neither head nor body about.
        self.carry_out(self.open(endpoint, head, body))
    }

    #[allow(
        clippy::manual_async_fn,
        reason = "an `async fn` would keep room for what has begun twice"
    )]
    fn carry_out<'p>(&'p self, begun: Result<Begun<'p>, Reply>) -> impl Future<Output = Reply> + Send + 'p {
        async move {
            let reply = match begun {
                Err(reply) => reply,
                // Nothing changes, so nothing is lost when the caller hangs up.
                Ok(Begun::Read(call)) => {
                    let _permit = call.permit;
                    read(call.invocation, call.account).instrument(call.span).await
                }
                Ok(Begun::Change(changing)) => changing.await,
                // On the heap, so that no other call carries the room for its waiting about.
                Ok(Begun::Transact(call)) => Box::pin(self.transact(call)).await,
            };
            FailPoint::BeforeAnswer.pass();
            reply
        }
    }

    fn open(&self, endpoint: &Arc<BoundEndpoint>, head: Parts, body: Bytes) -> Result<Begun<'_>, Reply> {
        let method = endpoint.endpoint.method;
        let verified = Unverified::parse(method, head.uri.query(), &head.headers, body)
            .and_then(|unverified| unverified.verify(&endpoint.keys, self.clock.unix_seconds()))
            .map_err(|refusal| {
                endpoint.meter.call(Outcome::NotVerified);
                refuse(endpoint, refusal)
            })?;
        self.begin(endpoint, verified, head)
    }

    /// Answers a call over MCP: the bearer vouches for it, as a signature does elsewhere.
    #[cfg(feature = "mcp")]
    pub(crate) fn answer_bearer<'p>(
        &'p self,
        bearer: &Bearer,
        endpoint: &Arc<BoundEndpoint>,
        tool_call: ToolCall,
    ) -> impl Future<Output = Reply> + Send + 'p {
        let (verified, head) = bearer.vouch(tool_call, self.clock.unix_seconds());
        let begun = self.begin(endpoint, verified, head);
        // On no connection of ours, whose end would be waited for.
        self.running.track_future(self.carry_out(begun))
    }

    /// All that needs no waiting: a replay is answered here, and has no invocation made for it.
    fn begin(&self, endpoint: &Arc<BoundEndpoint>, verified: Verified, head: Parts) -> Result<Begun<'_>, Reply> {
        let span = tracing::info_span!(
            "call",
            endpoint = endpoint.endpoint.name,
            key_id = verified.key_id(),
            idempotency_key = verified.idempotency_key(),
        );
        let account = Account::open(endpoint, &span);
        let permit = match self.permit() {
            Ok(permit) => permit,
            Err(error) => return Err(span.in_scope(|| account.close(Reply::from_error(&error)))),
        };
        let effect = endpoint.endpoint.effect;
        let mut claimed = None;
        if let Effect::AtMostOnce | Effect::Rerunnable = effect {
            let operation = Operation::of(endpoint, &verified);
            let at_once = || {
                let claim = self.operations.admit_at_once(&asked(&operation, endpoint));
                claim.map(|claim| granted(claim, operation.id)).transpose()
            };
            match span.in_scope(at_once) {
                Ok(lease) => claimed = Some((operation, lease)),
                // Nothing runs that could outlive the caller.
                Err(reply) => return Err(span.in_scope(|| account.close(reply))),
            }
        }
        let call = Call {
            invocation: Invocation::new(Arc::clone(endpoint), verified, head),
            permit,
            account,
            span,
        };
        Ok(match claimed {
            Some((operation, lease)) => Begun::Change(self.change(call, operation, lease)),
            None if effect == Effect::ReadOnly => Begun::Read(call),
            None => Begun::Transact(call),
        })
    }

    pub(crate) fn store(&self) -> &dyn crate::store::Store {
        &**self.operations.store()
    }

    /// New calls are refused from now on.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Waits for the handlers whose callers have hung up, and closes the store. Those that are still polled on a
    /// connection are not waited for: the connections have to end first.
    pub(crate) async fn drain(&self) {
        self.running.close();
        self.running.wait().await;
        self.operations.settle_doubts().await;
        self.operations.store().close().await;
    }

    /// Removes some of the expired records; how many.
    pub(crate) async fn sweep(&self) -> Result<u32, StoreError> {
        self.operations.sweep().await
    }

    /// Counts the store's records for the gauge.
    pub(crate) async fn count_records(&self) -> Result<(), StoreError> {
        self.operations.count().await
    }

    /// For a body that has not arrived whole.
    pub(crate) fn room_for_a_body(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.bodies.try_acquire().map_err(|_| {
            let detail = "The server waits for all the requests it can hold; send this one again.";
            Error::new(Kind::Full, detail).after(1)
        })
    }

    fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        if self.stopping.load(Ordering::Acquire) {
            let detail = "The server is stopping and has not started this call; send it again.";
            return Err(Error::new(Kind::Stopping, detail).after(1));
        }
        Arc::clone(&self.permits).try_acquire_owned().map_err(|_| {
            let detail = "The server has all the calls it can take and has not started this one; send it again.";
            Error::new(Kind::Full, detail).after(1)
        })
    }

    /// Runs a handler whose effects are outside the store; the lease is there if the store has granted it at once.
    fn change(&self, call: Call, operation: Operation, lease: Option<Lease>) -> Detached<'_, Reply> {
        let Call {
            invocation,
            permit,
            account,
            span,
        } = call;
        let id = operation.id;
        match lease {
            Some(lease) => {
                let attempt = attempt(lease, id, invocation, permit, account);
                Detached::new(&self.running, attempt.instrument(span))
            }
            None => {
                let operations = self.operations.clone();
                let waiting = async move {
                    match granted(operations.admit(&asked(&operation, invocation.endpoint())).await, id) {
                        Ok(lease) => attempt(lease, id, invocation, permit, account).await,
                        Err(reply) => account.close(reply),
                    }
                };
                Detached::new(&self.running, waiting.instrument(span))
            }
        }
    }
}

/// A verified call for which there is room.
struct Call {
    invocation: Invocation,
    permit: OwnedSemaphorePermit,
    account: Account,
    span: Span,
}

/// What is left to do of a call, by what its handler does.
enum Begun<'p> {
    Read(Call),
    Change(Detached<'p, Reply>),
    Transact(Call),
}

/// The one call site of a handler.
async fn run(
    mut invocation: Invocation,
    transaction: TransactionSlot<'_>,
    lease: Option<&mut Lease>,
) -> (HandlerOutcome, Option<u32>) {
    let limit = invocation.endpoint().max_execution;
    let in_transaction = transaction.0.is_some();
    let handler = async move {
        if invocation.endpoint().extracts() {
            // On the heap, so that a handler without extractors does not carry their room about.
            Box::pin(invocation.extract()).await?;
        }
        (invocation.endpoint().endpoint.run)(&mut invocation, transaction)?.await
    };
    match execute(handler, limit, lease).await {
        Ended::Returned(Ok(AnswerBytes(body))) => (
            finished(
                Response {
                    status: 200,
                    content_type: JSON.into(),
                    body,
                },
                false,
            ),
            None,
        ),
        Ended::Returned(Err(error)) if in_transaction && is_conflict(&error) => (HandlerOutcome::Conflict, None),
        Ended::Returned(Err(error)) => {
            if let Some(cause) = error.cause() {
                tracing::error!(status = error.status(), cause = %with_causes(cause), "the handler failed");
            }
            (finished(response_of(&error), error.is_retryable()), error.retry_after())
        }
        Ended::Panicked(message) => {
            tracing::error!(%message, "the handler panicked");
            (HandlerOutcome::Panicked, None)
        }
        Ended::TimedOut => {
            tracing::error!(limit_s = limit.as_secs_f64(), "the handler ran for longer than it may");
            (HandlerOutcome::TimedOut, None)
        }
    }
}

async fn read(invocation: Invocation, account: Account) -> Reply {
    let (outcome, retry_after) = run(invocation, TransactionSlot(None), None).await;
    let answer = match outcome {
        HandlerOutcome::Finished { response, .. } => Answer::Response(response),
        HandlerOutcome::Panicked => Answer::Failed,
        HandlerOutcome::TimedOut | HandlerOutcome::Conflict => Answer::TimedOut,
    };
    account.close(reply_of(answer, Effect::ReadOnly, None).or_after(retry_after))
}

fn asked<'i>(operation: &'i Operation, endpoint: &'i BoundEndpoint) -> Asked<'i> {
    Asked {
        id: operation.id,
        first: &operation.first,
        effect: endpoint.endpoint.effect,
        max_execution: endpoint.max_execution,
        meter: &endpoint.meter,
    }
}

/// The right to run, or what the caller is told instead.
fn granted(claim: Result<Claim, NotAdmitted>, id: OperationId) -> Result<Lease, Reply> {
    Err(match claim {
        Ok(Claim::Run(lease)) => return Ok(lease),
        Ok(Claim::Replay(response)) => Reply::replay(response),
        Ok(Claim::Busy) => Reply::from_error(&busy()),
        Ok(Claim::Mismatch) => Reply::from_error(&mismatch()),
        Ok(Claim::Unknown) => Reply::from_error(&unknown(id)),
        Ok(Claim::NotKept) => Reply::from_error(&not_kept()),
        Err(refused) => Reply::from_error(&not_taken_up(&refused.take_back())),
    })
}

/// Runs a handler that holds the lease of its operation, and records how it ended.
#[allow(
    clippy::manual_async_fn,
    reason = "an `async fn` would keep room for its arguments twice"
)]
fn attempt(
    mut lease: Lease,
    id: OperationId,
    invocation: Invocation,
    permit: OwnedSemaphorePermit,
    account: Account,
) -> impl Future<Output = Reply> + Send {
    async move {
        FailPoint::AfterClaim.pass();
        let (outcome, retry_after) = run(invocation, TransactionSlot(None), Some(&mut lease)).await;
        FailPoint::BeforeCommit.pass();
        // On the heap, so that an attempt does not carry room for two leases about.
        let recorded = Box::pin(lease.complete(outcome)).await;
        FailPoint::AfterCommit.pass();
        let effect = account.endpoint().endpoint.effect;
        if effect == Effect::AtMostOnce && matches!(recorded, Ok(Answer::Failed | Answer::TimedOut)) {
            account.endpoint().meter.unknown.increment(1);
        }
        let reply = match recorded {
            Ok(answer) => reply_of(answer, effect, Some(id)).or_after(retry_after),
            Err(error) => {
                tracing::error!(%error, "the outcome of a handler was not recorded");
                Reply::from_error(&not_recorded())
            }
        };
        // Until here it counts as one at work.
        drop(permit);
        account.close(reply)
    }
}

fn finished(response: Response, retryable: bool) -> HandlerOutcome {
    HandlerOutcome::Finished { response, retryable }
}

#[cfg(test)]
mod tests {
    use tracing::instrument::Instrumented;

    use super::attempt;

    /// It is boxed with its span; see the router's test.
    #[test]
    fn an_attempt_fits_into_what_an_allocator_keeps_at_hand() {
        let size = of_future(attempt);
        assert!(size <= 1032, "the future of an attempt has grown to {size} bytes");
    }

    fn of_future<A, B, C, D, E, F>(_call: impl Fn(A, B, C, D, E) -> F) -> usize {
        size_of::<Instrumented<F>>()
    }
}
