#![allow(unused_variables)]

use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(
    /// What to look for.
    #[cfg(unix)]
    word: String,
    /// How many there are.
    #[cfg_attr(unix, operator(min = 1))]
    count: u8,
) -> u8 {
    1
}

fn main() {}
