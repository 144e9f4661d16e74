#![allow(unused_variables)]

use operator_runtime::operator_api;

struct Period;

/// Counts the orders. Use it to count them.
#[operator_api(POST, "/orders")]
async fn orders(#[operator(flatten)] period: Period) -> u8 {
    1
}

fn main() {}
