#![allow(unused_variables)]

use operator_runtime::operator_api;

const RATE: f64 = 0.5;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(
    /// What to look for.
    #[operator(default = RATE, multiple_of = 0.2)]
    ratio: f64,
) -> u8 {
    1
}

fn main() {}
