//! Where the arguments of one endpoint come from, made ready at start-up.

use super::need::{Need, NeedKind};
use super::states::States;
use crate::input::BoundInputs;

/// What an endpoint's run function reads, whatever the call.
pub(crate) struct ArgumentSources {
    /// The endpoint's name, for the handler's `Call`.
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
