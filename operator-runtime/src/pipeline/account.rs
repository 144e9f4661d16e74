//! What is told of a call when it ends: counted and logged, whether or not its caller is still there.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Span;

use super::reply::Reply;
use crate::clock::{milliseconds, timer_now};
use crate::pipeline::prepared::PreparedEndpoint;

/// What is told of a call when it ends, whether or not its caller is still there.
#[derive(Clone)]
pub(crate) struct Account {
    endpoint: Arc<PreparedEndpoint>,
    /// When it began; nobody reads the time of a call that is not logged.
    started: Option<Instant>,
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

    /// Counts and logs the reply, and gives it back.
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
