//! Background tasks of the store, which run until the pipeline is dropped.

pub(crate) mod counting;
pub(crate) mod sweeping;
