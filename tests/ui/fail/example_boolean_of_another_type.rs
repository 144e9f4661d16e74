#![allow(unused_variables)]

use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(
    /// What to look for.
    #[operator(example = true)]
    word: String,
    /// How many to look for.
    #[operator(example = false)]
    limit: u8,
) -> u8 {
    1
}

fn main() {}
