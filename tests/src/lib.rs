//! What the tests of this package share: programs of this workspace as processes, the servers they keep
//! records in, and a caller that signs.

pub mod caller;
pub mod certificates;
pub mod cluster;
pub mod process;
pub mod proof;
pub mod services;
