#![allow(unused_variables)]

use operator_runtime::operator_api;

trait Clock {}

/// Counts the orders. Use it to count them.
#[operator_api(POST, "/orders")]
async fn orders(clock: &mut (dyn Clock + Send)) -> u8 {
    1
}

fn main() {}
