//! Admits a verified call: checks what its caller may do, takes a permit, and finds and claims the call's operation, for
//! which the content may have to be decoded first.

use std::cell::LazyCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::HeaderMap;
use http::request::Parts;
use tokio::sync::OwnedSemaphorePermit;
use tracing::Span;

use super::account::{self, Account};
use super::attempt::{asked, granted};
use super::audited::AuditedCall;
use super::large::{self, Turn};
use super::operation::{Decoded, Operation};
use super::prepared::PreparedEndpoint;
use super::reply::Reply;
use super::{Begun, Opening, Pipeline, not_verified};
use crate::endpoint::invocation::Invocation;
use crate::idempotency::effect::Effect;
use crate::idempotency::lease::Lease;
use crate::input::Effort;
use crate::problem::{Error, Kind};
use crate::protocol::caller::Caller;
use crate::protocol::envelope::remove_tokens;
use crate::protocol::request::{Content, Kept, Verified};
use crate::protocol::trace_parent::TraceParent;

/// A verified call with a permit to run.
pub(super) struct Admitted {
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) account: Account,
    pub(super) span: Span,
}

/// What comes after a call is verified.
#[allow(
    clippy::large_enum_variant,
    reason = "it is taken apart at once, and a box would cost each call an allocation"
)]
pub(super) enum Next {
    /// Run the call.
    Run(Admitted, Claimed),
    /// Decode the content, which names the operation, and then claim the operation.
    Decode {
        permit: OwnedSemaphorePermit,
        effort: Effort,
    },
}

/// The state of a call's claim on its operation.
pub(super) enum Claimed {
    /// The endpoint is read-only, so there is no operation to claim.
    Nothing,
    /// The handler's transaction will claim the operation.
    InTransaction(Operation),
    /// The claim has to be awaited: the store does not answer at once, or another attempt is running.
    Awaited(Operation),
    /// The call has the lease of its operation.
    Granted(Lease),
}

impl Pipeline {
    /// Does every step that needs no waiting. If the call can already be answered, for example from a record, no
    /// [`Invocation`] is made. A call that waits has a permit, so that the bodies of waiting calls are limited too.
    pub(super) fn admit(
        &self,
        endpoint: &Arc<PreparedEndpoint>,
        verified: &Verified<'_>,
        headers: &HeaderMap,
    ) -> Result<Next, Reply> {
        let given = verified.idempotency_key();
        let is_named_by_content = endpoint.events.is_some() || (given.is_none() && endpoint.endpoint.key.is_some());
        if is_named_by_content {
            let key = given.unwrap_or_default();
            let permit = self
                .permit()
                .map_err(|error| self.refused(endpoint, verified.caller(), headers, key, &error))?;
            let effort = endpoint.arguments.inputs.effort(verified.content());
            return Ok(Next::Decode { permit, effort });
        }
        let operation = || Operation::of_header(endpoint.endpoint, verified, given);
        let key = given.unwrap_or_default();
        let permit = || self.permit();
        let request = (verified.caller(), verified.content());
        let (call, claimed) = self.claim(endpoint, request, headers, key, permit, operation)?;
        Ok(Next::Run(call, claimed))
    }

    /// Goes on with a verified call, outside of the borrow of its head.
    pub(super) fn go_on<'p>(
        &'p self,
        endpoint: &Arc<PreparedEndpoint>,
        next: Next,
        kept: Kept,
        mut head: Parts,
    ) -> Opening<'p> {
        // A signed request has no token: a request with two credentials is refused.
        if !kept.caller().scheme().is_signature() {
            remove_tokens(&mut head.headers);
        }
        match next {
            Next::Run(call, claimed) => {
                let invocation = Invocation::new(Arc::clone(&endpoint.arguments), kept, head);
                Opening::Done(Ok(self.begin(invocation, call, claimed)))
            }
            Next::Decode { permit, effort } => {
                if large::takes_a_turn(effort) {
                    let endpoint = Arc::clone(endpoint);
                    Opening::Waiting(Box::pin(self.decode_in_turn(endpoint, permit, effort, kept, head)))
                } else {
                    Opening::Done(self.claim_decoded(permit, self.decode(endpoint, kept, head)))
                }
            }
        }
    }

    /// Waits for the call's turn to be decoded, which does not count toward any time limit of the handler.
    async fn decode_in_turn(
        &self,
        endpoint: Arc<PreparedEndpoint>,
        permit: OwnedSemaphorePermit,
        effort: Effort,
        kept: Kept,
        head: Parts,
    ) -> Result<Begun<'_>, Reply> {
        let turn = match Turn::of(effort).await {
            Ok(turn) => turn,
            Err(error) => {
                let (caller, key) = (kept.caller(), kept.idempotency_key());
                return Err(self.refused(&endpoint, caller, &head.headers, key, &error));
            }
        };
        let decoded = large::run(effort, || self.decode(&endpoint, kept, head));
        drop(turn);
        self.claim_decoded(permit, decoded)
    }

    /// Decodes a call before its operation is claimed. An event that is answered here is counted and logged here.
    fn decode(&self, endpoint: &Arc<PreparedEndpoint>, kept: Kept, head: Parts) -> Result<Decoded, Reply> {
        let Some(handlers) = &endpoint.events else {
            return Ok(Decoded::of_inputs(Arc::clone(endpoint), kept, head));
        };
        let span = self.span(endpoint, kept.caller(), &head.headers, kept.idempotency_key());
        let account = Account::open(endpoint, &span);
        span.in_scope(|| handlers.decode(kept, head).map_err(|reply| account.close(reply)))
    }

    /// Counts, logs and answers a verified call that has to wait for too long before it is decoded, or finds no permit.
    fn refused(
        &self,
        endpoint: &Arc<PreparedEndpoint>,
        caller: &Caller,
        headers: &HeaderMap,
        idempotency_key: &str,
        error: &Error,
    ) -> Reply {
        let span = self.span(endpoint, caller, headers, idempotency_key);
        let account = Account::open(endpoint, &span);
        span.in_scope(|| account.close(Reply::from_error(error)))
    }

    /// The span of a call, as a child of the caller's span.
    fn span(&self, endpoint: &PreparedEndpoint, caller: &Caller, headers: &HeaderMap, idempotency_key: &str) -> Span {
        // Parsed only if the span is recorded or adopted.
        let trace = LazyCell::new(|| TraceParent::of(headers));
        let span = account::span(endpoint, caller, idempotency_key, headers, &trace);
        // Before the span is entered, because its parent cannot be set later.
        if let Some(adopt) = &self.adopt
            && let Some(trace) = &*trace
        {
            adopt(&span, trace);
        }
        span
    }

    /// Claims the operation that the content names. An event goes on with the endpoint of its handler.
    fn claim_decoded(&self, permit: OwnedSemaphorePermit, decoded: Result<Decoded, Reply>) -> Result<Begun<'_>, Reply> {
        let Decoded {
            endpoint,
            invocation,
            operation,
        } = decoded?;
        let call = invocation.call();
        let request = (call.kept.caller(), call.kept.content());
        let (headers, key) = (call.headers(), call.idempotency_key());
        let (call, claimed) = self.claim(&endpoint, request, headers, key, || Ok(permit), || operation.map(Some))?;
        Ok(self.begin(invocation, call, claimed))
    }

    /// Checks what the caller may do, and claims the call's operation, if the call changes something. Every call passes
    /// through this function, signed or over MCP, and with the endpoint of an event's handler.
    fn claim(
        &self,
        endpoint: &Arc<PreparedEndpoint>,
        (caller, content): (&Caller, &Content),
        headers: &HeaderMap,
        idempotency_key: &str,
        permit: impl FnOnce() -> Result<OwnedSemaphorePermit, Error>,
        operation: impl FnOnce() -> Result<Option<Operation>, Error>,
    ) -> Result<(Admitted, Claimed), Reply> {
        let allowed = caller.check(endpoint.endpoint.scope());
        allowed.map_err(|refused| not_verified(endpoint, refused, headers))?;
        let span = self.span(endpoint, caller, headers, idempotency_key);
        let account = Account::open(endpoint, &span);
        let operation = || {
            let mut operation = operation()?;
            if let Some(operation) = operation.as_mut().filter(|_| self.operations.has_audit()) {
                let call = AuditedCall::new(endpoint, operation, caller, content, TraceParent::of(headers));
                operation.draft = Some(Arc::new(call));
            }
            Ok(operation)
        };
        let claimed = span.in_scope(|| {
            let permit = permit().map_err(|error| Reply::from_error(&error))?;
            Ok((permit, self.claim_at_once(endpoint, operation)?))
        });
        match claimed {
            Ok((permit, claimed)) => Ok((Admitted { permit, account, span }, claimed)),
            Err(reply) => Err(span.in_scope(|| account.close(reply))),
        }
    }

    fn claim_at_once(
        &self,
        endpoint: &PreparedEndpoint,
        operation: impl FnOnce() -> Result<Option<Operation>, Error>,
    ) -> Result<Claimed, Reply> {
        let operation = operation().map_err(|error| Reply::from_error(&error))?;
        Ok(match operation {
            None => Claimed::Nothing,
            Some(operation) if endpoint.endpoint.effect == Effect::Transactional => Claimed::InTransaction(operation),
            Some(operation) => match self.operations.admit_at_once(&asked(&operation, endpoint)) {
                Some(claim) => Claimed::Granted(granted(claim, operation.id)?),
                None => Claimed::Awaited(operation),
            },
        })
    }

    fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        // The permit is taken first: whoever stops the pipeline then waits for all permits, so no call begins unseen.
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| {
            let detail =
                "The server is at its limit of concurrent calls and has not started this call. Send the call again.";
            Error::new(Kind::Full, detail)
        })?;
        if self.stopping.load(Ordering::Acquire) {
            let detail = "The server is stopping and has not started this call. Send the call again.";
            return Err(Error::new(Kind::Stopping, detail));
        }
        Ok(permit)
    }
}
