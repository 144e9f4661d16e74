#![allow(unused_variables)]

use operator_runtime::operator_api;

const MOST: u16 = 5;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(
    /// What to look for.
    #[operator(default = MOST, max = 20)]
    count: u8,
) -> u8 {
    1
}

fn main() {}
