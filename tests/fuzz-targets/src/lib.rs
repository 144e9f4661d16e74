//! Code that the fuzz targets share: the limit on the cost of an execution, the zoo as a service, and inputs made from
//! a schema.

#![forbid(unsafe_code)]

mod cost;
mod inputs;
mod mutation;
mod zoo;

pub use cost::within_limits;
pub use inputs::inputs_of;
pub use mutation::mutate;
pub use zoo::{Endpoint, Zoo, canonical, now, request, signature, signed_get, signed_post, within_url};
