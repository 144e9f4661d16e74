//! An endpoint prepared at start-up: everything that is the same for each of its calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::Counter;
use tokio::time::Instant;

use super::audited::AuditedEndpoint;
use super::events::Handlers;
use crate::clock::milliseconds;
use crate::endpoint::Endpoint;
use crate::endpoint::arguments::ArgumentSources;
use crate::meter::CallMeter;
use crate::protocol::credentials::BoundCredentials;

/// An endpoint of a running app.
pub(crate) struct PreparedEndpoint {
    pub(crate) endpoint: &'static Endpoint,
    /// The path below the public URL: the endpoint's own, or that of the events.
    pub(crate) path: &'static str,
    /// The credentials, with hash states that already include the endpoint's public URL. They are replaced when their
    /// files change.
    pub(crate) credentials: ArcSwap<BoundCredentials>,
    pub(crate) arguments: Arc<ArgumentSources>,
    /// The time limit of one run of the handler.
    pub(crate) max_execution: Duration,
    pub(crate) meter: CallMeter,
    /// Counts slow handlers, if a person waits for the answer. Then a duplicate waits no longer than the handler may run.
    pub(crate) slow: Option<Counter>,
    /// What is secret in the calls, if the audit is on.
    pub(crate) audited: Option<AuditedEndpoint>,
    /// The handlers of the events, if this is the endpoint at which they arrive.
    pub(crate) events: Option<Handlers>,
}

/// A handler that a person waits for is slow if it takes longer. A person notices such a pause.
const SLOW: Duration = Duration::from_millis(500);

impl fmt::Debug for PreparedEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("PreparedEndpoint");
        shown.field("name", &self.endpoint.name).finish_non_exhaustive()
    }
}

impl PreparedEndpoint {
    /// The longest time that a duplicate waits for the running attempt, if that is shorter than the setting.
    pub(super) fn longest_wait(&self) -> Duration {
        self.slow.as_ref().map_or(Duration::MAX, |_| self.max_execution)
    }

    /// Logs and counts a run of the handler that began at this time, if a person waits for the answer and the run was
    /// slow.
    pub(super) fn note_pause(&self, started: Option<Instant>) {
        let took = started.map(|started| started.elapsed());
        if let (Some(slow), Some(took)) = (&self.slow, took.filter(|took| *took > SLOW)) {
            slow.increment(1);
            tracing::warn!(
                took_ms = milliseconds(took),
                "a person had to wait for this handler: make it faster than 0.5 s"
            );
        }
    }
}
