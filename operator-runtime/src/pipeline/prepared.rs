//! An endpoint prepared at start-up: everything that is the same for each of its calls.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::endpoint::Endpoint;
use crate::endpoint::arguments::ArgumentSources;
use crate::meter::CallMeter;
use crate::protocol::credentials::BoundCredentials;

/// An endpoint of a running app.
pub(crate) struct PreparedEndpoint {
    pub(crate) endpoint: &'static Endpoint,
    /// The credentials, with hash states that already include the endpoint's public URL. They are replaced when their
    /// files change.
    pub(crate) credentials: ArcSwap<BoundCredentials>,
    pub(crate) arguments: Arc<ArgumentSources>,
    /// The time limit of one run of the handler.
    pub(crate) max_execution: Duration,
    pub(crate) meter: CallMeter,
}
