#![allow(unused_variables)]

use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(
    /// What to look for.
    #[operator(max = 340282366920938463463374607431)]
    count: u128,
) -> u8 {
    1
}

fn main() {}
