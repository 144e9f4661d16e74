#![allow(unused_variables)]

use operator_runtime::operator_api;

const FIRST: String = String::new();

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(
    /// What to look for.
    #[operator(default = FIRST, min = 1)]
    word: String,
) -> u8 {
    1
}

fn main() {}
