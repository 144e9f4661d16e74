//! Carries out one call, step by step: verify, admit, run, record, reply. This module does not depend on the transport.
//! No other module calls handlers.

mod account;
mod admitting;
mod attempt;
pub(crate) mod audited;
pub(crate) mod detached;
pub(crate) mod events;
pub(crate) mod execution;
pub(crate) mod large;
pub(crate) mod limiter;
mod limits;
pub(crate) mod operation;
pub(crate) mod prepared;
pub(crate) mod rate;
pub(crate) mod reply;
mod transactional;
mod under_way;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
#[cfg(feature = "tls")]
use http::Extensions;
use http::HeaderMap;
use http::request::Parts;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span};

use self::admitting::{Admitted, Claimed};
use self::attempt::{attempt, attempt_when_granted, read};
use self::detached::Detached;
use self::limiter::Rates;
use self::prepared::PreparedEndpoint;
use self::rate::Rate;
use self::reply::{Reply, refuse};
use self::under_way::UnderWay;
use crate::clock::Clock;
use crate::endpoint::invocation::Invocation;
use crate::fail_point::FailPoint;
use crate::idempotency::operations::Operations;
use crate::problem::{Error, Outcome};
#[cfg(feature = "mcp")]
use crate::protocol::bearer::{Bearer, ToolCall};
use crate::protocol::caller::Refused;
use crate::protocol::credentials::BoundCredentials;
#[cfg(any(feature = "mcp", feature = "tls"))]
use crate::protocol::credentials::Credentials;
#[cfg(any(feature = "mcp", feature = "tls"))]
use crate::protocol::request::Refusal;
use crate::protocol::request::{Unverified, Verified};
use crate::protocol::request_id;
use crate::protocol::trace_parent::TraceParent;
use crate::store::{BoxFuture, StoreError};

/// Makes the caller's span the parent of a call's span, in the program's tracing system.
pub(crate) type Adopt = Arc<dyn Fn(&Span, &TraceParent) + Send + Sync>;

/// The state that all endpoints of an app share.
pub(crate) struct Pipeline {
    operations: Operations,
    clock: Arc<dyn Clock>,
    permits: Arc<Semaphore>,
    /// The number of all permits.
    concurrency: usize,
    stopping: AtomicBool,
    running: TaskTracker,
    transactions: UnderWay,
    adopt: Option<Adopt>,
    pub(crate) rates: Rates,
}

impl Pipeline {
    pub(crate) fn new(operations: Operations, clock: Arc<dyn Clock>, concurrency: usize) -> Self {
        Self {
            operations,
            clock,
            permits: Arc::new(Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS))),
            concurrency,
            stopping: AtomicBool::new(false),
            running: TaskTracker::new(),
            transactions: UnderWay::default(),
            adopt: None,
            rates: Rates::default(),
        }
    }

    pub(crate) fn adopting(self, adopt: Option<Adopt>) -> Self {
        Self { adopt, ..self }
    }

    pub(crate) fn limited(self, rate: Option<Rate>) -> Self {
        let rates = Rates::new(rate, &self.clock);
        Self { rates, ..self }
    }

    /// Answers a call whose whole body has arrived. `room` is dropped once the body is verified.
    pub(crate) fn answer<'p>(
        &'p self,
        endpoint: &'p Arc<PreparedEndpoint>,
        head: Parts,
        body: Bytes,
        room: impl Send + 'p,
    ) -> impl Future<Output = Reply> + Send + 'p {
        // The query of a GET is hashed instead of a body. The server limits the length of a head.
        let length = head.uri.query().map_or(0, str::len) + body.len();
        // `open` is called outside the future, so that the future does not store head and body.
        let credentials = endpoint.credentials.load();
        let to_hash = credentials.to_hash(&head.headers, length);
        let waits = large::is_large_to_hash(to_hash) || credentials.all().needs_fetch(&head.headers);
        Self::carry_out(if waits {
            Opening::Waiting(Box::pin(self.open_in_turn(endpoint, head, body, room)))
        } else {
            self.open(endpoint, &credentials, head, body)
        })
    }

    #[allow(
        clippy::manual_async_fn,
        reason = "the future of an `async fn` would store `opening` twice"
    )]
    fn carry_out(opening: Opening<'_>) -> impl Future<Output = Reply> + Send {
        async move {
            let begun = match opening {
                Opening::Done(begun) => begun,
                Opening::Waiting(begun) => begun.await,
            };
            let reply = match begun {
                Err(reply) => reply,
                // A read is not detached. It changes nothing, so it may be dropped when the caller disconnects.
                Ok(Begun::Read(reading)) => reading.await,
                Ok(Begun::Change(changing)) => changing.await,
                Ok(Begun::Transact(transacting)) => transacting.await,
            };
            FailPoint::BeforeAnswer.pass();
            reply
        }
    }

    fn open<'p>(
        &'p self,
        endpoint: &Arc<PreparedEndpoint>,
        credentials: &BoundCredentials,
        head: Parts,
        body: Bytes,
    ) -> Opening<'p> {
        let verified = self.verify(endpoint, credentials, &head, body);
        let next = verified.and_then(|verified| {
            self.rates.count(verified.caller(), endpoint, &head.headers)?;
            Ok((self.admit(endpoint, &verified, &head.headers)?, verified.keep()))
        });
        match next {
            Ok((next, kept)) => self.go_on(endpoint, next, kept, head),
            Err(reply) => Opening::Done(Err(reply)),
        }
    }

    fn verify<'h>(
        &self,
        endpoint: &PreparedEndpoint,
        credentials: &BoundCredentials,
        head: &'h Parts,
        body: Bytes,
    ) -> Result<Verified<'h>, Reply> {
        let method = endpoint.endpoint.method;
        Unverified::parse(method, head.uri.query(), &head.headers, body, credentials.accepted())
            .map_err(Refused::from)
            .and_then(|unverified| unverified.verify(credentials, &head.extensions, self.clock.unix_seconds()))
            .map_err(|refused| not_verified(endpoint, refused, &head.headers))
    }

    /// Opens a call whose body or query takes long to hash, or whose caller can be verified only after a fetch. The caller
    /// is not known yet, so the call waits for its turn before it takes a permit to run.
    async fn open_in_turn<'p>(
        &'p self,
        endpoint: &'p Arc<PreparedEndpoint>,
        head: Parts,
        body: Bytes,
        room: impl Send,
    ) -> Result<Begun<'p>, Reply> {
        endpoint.credentials.load_full().all().fetch(&head.headers).await;
        let request_id = request_id::of(&head.headers).to_owned();
        let opening = large::hash_in_turn(|| {
            // Loaded again, because they may have changed during the wait.
            let credentials = endpoint.credentials.load();
            self.open(endpoint, &credentials, head, body)
        })
        .await;
        drop(room);
        match opening {
            Ok(Opening::Done(begun)) => begun,
            Ok(Opening::Waiting(begun)) => begun.await,
            Err(error) => Err(turned_away(endpoint, &error, &request_id)),
        }
    }

    /// Checks the certificate of the connection's client, if this server asks for one.
    #[cfg(feature = "tls")]
    pub(crate) fn check_certificate(&self, credentials: &Credentials, connection: &Extensions) -> Result<(), Refusal> {
        credentials.certified(connection, self.clock.unix_seconds()).map(drop)
    }

    /// Verifies the caller of a request over MCP.
    #[cfg(feature = "mcp")]
    pub(crate) fn bearer(&self, credentials: &Credentials, head: &Parts) -> Result<Bearer, Refusal> {
        Bearer::of(credentials, &head.headers, &head.extensions, self.clock.unix_seconds())
    }

    /// Answers a call over MCP, which is authenticated by a bearer token instead of a signature. `is_named` says
    /// whether the key of the tool call names its operation; otherwise the inputs do.
    #[cfg(feature = "mcp")]
    pub(crate) fn answer_bearer<'p>(
        &'p self,
        bearer: &Bearer,
        endpoint: &Arc<PreparedEndpoint>,
        tool_call: ToolCall,
        is_named: bool,
    ) -> impl Future<Output = Reply> + Send + 'p {
        let ToolCall { key, arguments, head } = tool_call;
        let verified = bearer.vouch(is_named.then_some(&key), arguments, self.clock.unix_seconds());
        let opening = match self.admit(endpoint, &verified, &head.headers) {
            Ok(next) => self.go_on(endpoint, next, verified.keep(), head),
            Err(reply) => Opening::Done(Err(reply)),
        };
        // This future may run outside of a connection, so the tracker makes shutdown wait for it.
        self.running.track_future(Self::carry_out(opening))
    }

    /// This is not an `async fn`, because its future would store these arguments for as long as the handler runs.
    fn begin(&self, invocation: Invocation, call: Admitted, claimed: Claimed) -> Begun<'_> {
        match claimed {
            Claimed::Nothing => {
                let Admitted { permit, account, span } = call;
                Begun::Read(Box::pin(read(invocation, permit, account).instrument(span)))
            }
            Claimed::InTransaction(operation) => Begun::Transact(Box::pin(self.transact(invocation, call, operation))),
            Claimed::Granted(lease) => {
                let Admitted { permit, account, span } = call;
                let attempt = attempt(lease, invocation, permit, account);
                Begun::Change(Detached::new(&self.running, attempt.instrument(span)))
            }
            Claimed::Awaited(operation) => {
                let Admitted { permit, account, span } = call;
                let operations = self.operations.clone();
                let attempt = attempt_when_granted(operations, operation, invocation, permit, account);
                Begun::Change(Detached::new(&self.running, attempt.instrument(span)))
            }
        }
    }

    #[cfg(feature = "cli")]
    pub(crate) fn operations(&self) -> &Operations {
        &self.operations
    }

    pub(crate) fn store(&self) -> &dyn crate::store::Store {
        &**self.operations.store()
    }

    /// Makes the pipeline refuse new calls.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Waits until no call has a permit to run.
    pub(crate) async fn idle(&self) {
        let all = u32::try_from(self.concurrency).unwrap_or(u32::MAX);
        // `acquire_many` fails only on a closed semaphore, and nothing closes this one.
        let _ = self.permits.acquire_many(all).await;
    }

    /// Waits for the handlers whose callers have disconnected, and closes the store. This function does not wait for
    /// handlers that a connection still polls, so the connections have to end first.
    pub(crate) async fn drain(&self) {
        self.running.close();
        self.running.wait().await;
        self.operations.settle_doubts().await;
        self.operations.store().close().await;
    }

    /// Whether [`drain`](Self::drain) has begun, so that the store may be closed.
    pub(crate) fn is_draining(&self) -> bool {
        self.running.is_closed()
    }

    /// Removes one batch of expired records, and returns how many it removed.
    pub(crate) async fn sweep(&self) -> Result<u32, StoreError> {
        self.operations.sweep().await
    }

    /// Removes one batch of old rows of the audit, and returns how many it removed.
    pub(crate) async fn sweep_audit(&self) -> Result<u32, StoreError> {
        self.operations.sweep_audit().await
    }

    /// Counts the store's records and sets the gauges.
    pub(crate) async fn count_records(&self) -> Result<(), StoreError> {
        self.operations.count().await
    }
}

/// Counts, logs and answers a call whose caller is not verified, or may not make it.
pub(crate) fn not_verified(endpoint: &PreparedEndpoint, refused: Refused, headers: &HeaderMap) -> Reply {
    endpoint.meter.call(Outcome::NotVerified);
    refuse(endpoint, refused, headers)
}

/// Counts, logs and answers a call for whose body there was no turn before its caller was verified.
fn turned_away(endpoint: &PreparedEndpoint, error: &Error, request_id: &str) -> Reply {
    tracing::warn!(
        endpoint = endpoint.endpoint.name,
        reason = error.detail(),
        request_id,
        "refused"
    );
    let reply = Reply::from_error(error);
    endpoint.meter.call(reply.outcome());
    reply
}

/// A call that is being verified and admitted.
enum Opening<'p> {
    Done(Result<Begun<'p>, Reply>),
    /// The call waits for its turn to be hashed or decoded, or for the issuer's keys.
    Waiting(BoxFuture<'p, Result<Begun<'p>, Reply>>),
}

/// The rest of a call, by the kind of its endpoint. Each variant is boxed, so that a call does not reserve the space of
/// the largest variant.
enum Begun<'p> {
    Read(BoxFuture<'p, Reply>),
    Change(Detached<'p, Reply>),
    Transact(BoxFuture<'p, Reply>),
}
