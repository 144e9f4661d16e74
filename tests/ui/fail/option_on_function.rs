#![allow(unused_variables)]

use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
#[operator(min = 1)]
#[operator(resource_name)]
async fn orders() -> u8 {
    1
}

fn main() {}
