//! The sources of one endpoint's arguments, prepared at start-up.

use super::need::{Need, NeedKind};
use super::states::States;
use crate::input::BoundInputs;

/// The data that an endpoint's run function reads in every call.
pub(crate) struct ArgumentSources {
    /// The endpoint's name, which the handler reads from its `Call`.
    pub(crate) endpoint: &'static str,
    pub(crate) inputs: BoundInputs,
    pub(crate) states: States,
    pub(crate) needs: &'static [Need],
}

impl ArgumentSources {
    /// Whether the request's head must be kept for an extractor.
    pub(crate) fn extracts(&self) -> bool {
        self.needs
            .iter()
            .any(|need| matches!(need.kind, NeedKind::Extracted(_)))
    }
}
