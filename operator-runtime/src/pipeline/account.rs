//! Counts and logs each call when the call ends, even if its caller has disconnected.

use std::cell::LazyCell;
use std::sync::Arc;

use http::HeaderMap;
use tokio::time::Instant;
use tracing::Span;

use super::reply::Reply;
use crate::clock::{milliseconds, timer_now};
use crate::pipeline::prepared::PreparedEndpoint;
use crate::protocol::caller::Caller;
use crate::protocol::request_id;
use crate::protocol::trace_parent::TraceParent;

/// Counts and logs one call when the call ends.
#[derive(Clone)]
pub(crate) struct Account {
    endpoint: Arc<PreparedEndpoint>,
    /// When the call began. `None` if the call is not logged, because only the log shows the duration.
    started: Option<Instant>,
}

/// The span of a call. Every line that is logged within it names the caller. The headers are read only if the span is
/// recorded.
pub(super) fn span(
    endpoint: &PreparedEndpoint,
    caller: &Caller,
    idempotency_key: &str,
    headers: &HeaderMap,
    trace: &LazyCell<Option<TraceParent>, impl FnOnce() -> Option<TraceParent>>,
) -> Span {
    tracing::info_span!(
        "call",
        endpoint = endpoint.endpoint.name,
        tenant = caller.name().tenant(),
        key_id = caller.name().id(),
        scheme = caller.scheme().word(),
        idempotency_key,
        request_id = request_id::of(headers),
        trace_id = trace.as_ref().map(|trace| display(trace.trace_id_digits())),
        parent_id = trace.as_ref().map(|trace| display(trace.parent_id_digits())),
    )
}

impl Account {
    pub(crate) fn open(endpoint: &Arc<PreparedEndpoint>, span: &Span) -> Self {
        Self {
            endpoint: Arc::clone(endpoint),
            started: (!span.is_disabled()).then(timer_now),
        }
    }

    pub(crate) fn endpoint(&self) -> &PreparedEndpoint {
        &self.endpoint
    }

    pub(crate) fn shared_endpoint(&self) -> Arc<PreparedEndpoint> {
        Arc::clone(&self.endpoint)
    }

    /// Counts and logs the reply, and returns it unchanged.
    pub(crate) fn close(self, reply: Reply) -> Reply {
        self.endpoint.meter.call(reply.outcome());
        if let Some(started) = self.started {
            tracing::info!(
                status = reply.status,
                outcome = reply.outcome().word(),
                replayed = reply.replayed,
                duration_ms = milliseconds(timer_now() - started),
                "answered"
            );
        }
        reply
    }
}
