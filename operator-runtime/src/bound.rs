//! An endpoint made ready at start-up: everything that does not depend on the call.

use std::time::Duration;

use crate::endpoint::{Endpoint, NeedKind};
use crate::input::BoundInputs;
use crate::meter::CallMeter;
use crate::protocol::signature::BoundKeys;
use crate::state::States;

/// An endpoint of a running app.
pub(crate) struct BoundEndpoint {
    pub(crate) endpoint: &'static Endpoint,
    /// Signing states advanced over the endpoint's public URL.
    pub(crate) keys: BoundKeys,
    pub(crate) inputs: BoundInputs,
    pub(crate) states: States,
    /// The longest its handler may run.
    pub(crate) max_execution: Duration,
    pub(crate) meter: CallMeter,
}

impl BoundEndpoint {
    /// Whether the request's head must be kept for an extractor.
    pub(crate) fn extracts(&self) -> bool {
        self.endpoint
            .needs
            .iter()
            .any(|need| matches!(need.kind, NeedKind::Extracted(_)))
    }
}
