//! A thousand endpoints, which `tests/build.rs` writes.

use operator_runtime::{Endpoints, endpoints, operator_api};

include!(concat!(env!("OUT_DIR"), "/thousand.rs"));
