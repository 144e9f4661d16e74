//! What is told of a call when it ends: counted and logged, whether or not its caller is still there.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Span;

use crate::clock::{milliseconds, timer_now};
use crate::meter::Outcome;
use crate::pipeline::prepared::PreparedEndpoint;
use crate::pipeline::reply::{Reply, outcome_in_words};
use crate::problem::Kind;

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
        self.endpoint.meter.call(outcome_of(&reply));
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

/// Of a call that was verified.
fn outcome_of(reply: &Reply) -> Outcome {
    match reply.kind {
        _ if reply.replayed => Outcome::Replayed,
        Some(Kind::StillRunning) => Outcome::StillRunning,
        Some(Kind::KeyReused) => Outcome::KeyReused,
        Some(Kind::OutcomeUnknown) => Outcome::Unknown,
        Some(Kind::OutcomeNotRecorded) => Outcome::NotRecorded,
        Some(Kind::ResponseNotKept | Kind::AnswerTooLong) => Outcome::ResponseNotKept,
        Some(Kind::TimedOut) => Outcome::TimedOut,
        Some(Kind::Unavailable | Kind::StoreFull | Kind::Undone) => Outcome::StoreUnavailable,
        Some(Kind::Full | Kind::Queued | Kind::Stopping) => Outcome::TurnedAway,
        _ if reply.status < 400 => Outcome::Done,
        _ if reply.status < 500 => Outcome::Declined,
        _ => Outcome::Failed,
    }
}
