//! What goes on beside the calls for as long as something holds the pipeline.

pub(crate) mod counting;
pub(crate) mod sweeping;
