//! Code that the tests of this package share: programs of this workspace as processes, database servers, and a caller
//! that signs.

pub mod caller;
pub mod certificates;
pub mod cluster;
pub mod process;
pub mod proof;
pub mod services;
