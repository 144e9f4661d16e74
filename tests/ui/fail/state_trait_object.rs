#![allow(unused_variables)]

use operator_runtime::operator_api;

trait Clock {}

type AnyClock = dyn Clock + Send + Sync;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(clock: &dyn Clock, other: &AnyClock) -> u8 {
    1
}

fn main() {}
