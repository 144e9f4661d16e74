//! What is told of a call when it ends: counted and logged, whether or not its caller is still there.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Span;

use crate::bound::BoundEndpoint;
use crate::clock::{milliseconds, timer_now};
use crate::meter::Outcome;
use crate::reply::{Reply, outcome_in_words};

/// What is told of a call when it ends, whether or not its caller is still there.
#[derive(Clone)]
pub(crate) struct Account {
    endpoint: Arc<BoundEndpoint>,
    /// When it began; nobody reads the time of a call that is not logged.
    started: Option<Instant>,
}

impl Account {
    pub(crate) fn open(endpoint: &Arc<BoundEndpoint>, span: &Span) -> Self {
        Self {
            endpoint: Arc::clone(endpoint),
            started: (!span.is_disabled()).then(timer_now),
        }
    }

    pub(crate) fn endpoint(&self) -> &BoundEndpoint {
        &self.endpoint
    }

    /// Counts and logs the reply, and gives it back.
    pub(crate) fn close(self, reply: Reply) -> Reply {
        self.endpoint.meter.call(Outcome::of(&reply));
        if let Some(started) = self.started {
            tracing::info!(
                status = reply.status,
                outcome = outcome_in_words(&reply),
                replayed = reply.replayed,
                duration_ms = milliseconds(timer_now() - started),
                "answered"
            );
        }
        reply
    }
}
