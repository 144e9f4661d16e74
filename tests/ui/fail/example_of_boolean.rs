#![allow(unused_variables)]

use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(
    /// Whether those that were sent are counted.
    #[operator(example = "yes")]
    sent: bool,
    /// Whether those that were paid are counted.
    #[operator(example = 1)]
    paid: Option<bool>,
    /// How many to look for.
    #[operator(example = 'x')]
    limit: u8,
) -> u8 {
    1
}

fn main() {}
