#![allow(unused_variables)]

use operator_runtime::operator_api;

type Cents = u32;

const MOST: Cents = 50;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(
    /// What to look for.
    #[operator(default = MOST, max = 20)]
    amount: Cents,
) -> u8 {
    1
}

fn main() {}
