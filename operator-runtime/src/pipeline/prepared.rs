//! An endpoint made ready at start-up: everything that does not depend on the call.

use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::endpoint::arguments::ArgumentSources;
use crate::meter::CallMeter;
use crate::protocol::signature::BoundKeys;

/// An endpoint of a running app.
pub(crate) struct PreparedEndpoint {
    pub(crate) endpoint: &'static Endpoint,
    /// Signing states advanced over the endpoint's public URL.
    pub(crate) keys: BoundKeys,
    pub(crate) arguments: Arc<ArgumentSources>,
    /// The longest its handler may run.
    pub(crate) max_execution: Duration,
    pub(crate) meter: CallMeter,
}
