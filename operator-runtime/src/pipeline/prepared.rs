//! An endpoint prepared at start-up: everything that is the same for each of its calls.

use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::endpoint::arguments::ArgumentSources;
use crate::meter::CallMeter;
use crate::protocol::signature::BoundKeys;

/// An endpoint of a running app.
pub(crate) struct PreparedEndpoint {
    pub(crate) endpoint: &'static Endpoint,
    /// Signing keys whose hash states already include the endpoint's public URL.
    pub(crate) keys: BoundKeys,
    pub(crate) arguments: Arc<ArgumentSources>,
    /// The time limit of one run of the handler.
    pub(crate) max_execution: Duration,
    pub(crate) meter: CallMeter,
}
