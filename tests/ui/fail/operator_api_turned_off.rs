#![allow(unused_imports)]

use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[cfg_attr(any(), operator_api(GET, "/orders"))]
async fn orders(
    /// What to look for.
    #[operator(min_length = 1)]
    word: String,
) -> usize {
    word.len()
}

fn main() {}
