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
        reason = "an `async fn` would keep room for what was opened twice"
    )]
    fn carry_out(&self, opened: Result<Opened, Box<Reply>>) -> impl Future<Output = Reply> + Send {
        async move {
            let Opened {
                invocation,
                account,
                span,
            } = match opened {
                Ok(opened) => opened,
                Err(reply) => return *reply,
            };
            let reply = match self.permit() {
                Ok(permit) => self.run(invocation, permit, account, span).await,
                Err(error) => span.in_scope(|| account.close(Reply::from_error(&error))),
            };
            FailPoint::BeforeAnswer.pass();
            reply
        }
    }

    fn open(&self, endpoint: &Arc<BoundEndpoint>, head: Parts, body: Bytes) -> Result<Opened, Box<Reply>> {
        let method = endpoint.endpoint.method;
        let verified = Unverified::parse(method, head.uri.query(), &head.headers, body)
            .and_then(|unverified| unverified.verify(&endpoint.keys, self.clock.unix_seconds()))
            .map_err(|refusal| {
                endpoint.meter.call(Outcome::NotVerified);
                Box::new(refuse(endpoint, refusal))
            })?;
        Ok(self.begin(endpoint, verified, head))
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
        let opened = Ok(self.begin(endpoint, verified, head));
        // On no connection of ours, whose end would be waited for.
        self.running.track_future(self.carry_out(opened))
    }

    fn begin(&self, endpoint: &Arc<BoundEndpoint>, verified: Verified, head: Parts) -> Opened {
        let span = tracing::info_span!(
            "call",
            endpoint = endpoint.endpoint.name,
            key_id = verified.key_id(),
            idempotency_key = verified.idempotency_key(),
        );
        Opened {
            invocation: Invocation::new(Arc::clone(endpoint), verified, head),
            account: Account::open(endpoint, &span),
            span,
        }
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

    async fn run(&self, invocation: Invocation, permit: OwnedSemaphorePermit, account: Account, span: Span) -> Reply {
        match invocation.endpoint().endpoint.effect {
            // Nothing changes, so nothing is lost when the caller hangs up.
            Effect::ReadOnly => {
                let _permit = permit;
                read(invocation, account).instrument(span).await
            }
            // On the heap, so that no other call carries the room for its waiting about.
            Effect::Transactional => Box::pin(self.transact(invocation, permit, account, span)).await,
            Effect::AtMostOnce | Effect::Rerunnable => match self.begin_change(invocation, permit, account, span) {
                Ok(changing) => changing.await,
                Err(reply) => reply,
            },
        }
    }

    /// Not `async`, which would keep room for all of this while the handler runs.
    fn begin_change(
        &self,
        invocation: Invocation,
        permit: OwnedSemaphorePermit,
        account: Account,
        span: Span,
    ) -> Result<Detached<'_, Reply>, Reply> {
        let operation = invocation.operation();
        let at_once = || {
            let claim = self.operations.admit_at_once(&asked(&operation, &invocation));
            claim.map(|claim| granted(claim, operation.id)).transpose()
        };
        let lease = match span.in_scope(at_once) {
            Ok(lease) => lease,
            // Nothing runs that could outlive the caller.
            Err(reply) => return Err(span.in_scope(|| account.close(reply))),
        };
        let operations = self.operations.clone();
        let work = async move {
            let _permit = permit;
            account.close(change(operations, operation, invocation, lease).await)
        };
        Ok(Detached::new(&self.running, work.instrument(span)))
    }
}

/// A verified call on its way.
struct Opened {
    invocation: Invocation,
    account: Account,
    span: Span,
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

fn asked<'i>(operation: &'i Operation, invocation: &'i Invocation) -> Asked<'i> {
    let endpoint = invocation.endpoint();
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

/// Runs a handler whose effects are outside the store; the lease is there if the store has granted it at once.
async fn change(operations: Operations, operation: Operation, invocation: Invocation, lease: Option<Lease>) -> Reply {
    let id = operation.id;
    let effect = invocation.endpoint().endpoint.effect;
    let mut lease = match lease {
        Some(lease) => lease,
        // On the heap, so that a store which answers at once does not pay for the room.
        None => match granted(Box::pin(operations.admit(&asked(&operation, &invocation))).await, id) {
            Ok(lease) => lease,
            Err(reply) => return reply,
        },
    };
    FailPoint::AfterClaim.pass();
    let unknown = invocation.endpoint().meter.unknown.clone();
    let (outcome, retry_after) = run(invocation, TransactionSlot(None), Some(&mut lease)).await;
    FailPoint::BeforeCommit.pass();
    // On the heap, so that a change does not carry room for two leases about.
    let recorded = Box::pin(lease.complete(outcome)).await;
    FailPoint::AfterCommit.pass();
    if effect == Effect::AtMostOnce && matches!(recorded, Ok(Answer::Failed | Answer::TimedOut)) {
        unknown.increment(1);
    }
    match recorded {
        Ok(answer) => reply_of(answer, effect, Some(id)).or_after(retry_after),
        Err(error) => {
            tracing::error!(%error, "the outcome of a handler was not recorded");
            Reply::from_error(&not_recorded())
        }
    }
}

fn finished(response: Response, retryable: bool) -> HandlerOutcome {
    HandlerOutcome::Finished { response, retryable }
}

#[cfg(test)]
mod tests {
    use super::change;

    /// It is boxed with its permit, its account and its span; see the router's test.
    #[test]
    fn a_change_fits_into_what_an_allocator_keeps_at_hand() {
        let size = of_future(change);
        assert!(size <= 880, "the future of a change has grown to {size} bytes");
    }

    fn of_future<A, B, C, D, F>(_call: impl Fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }
}
