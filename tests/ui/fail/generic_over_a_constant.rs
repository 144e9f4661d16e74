#![allow(unused_variables)]

use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(POST, "/orders")]
async fn orders<const N: usize>(
    /// What to look for.
    words: [String; N],
) -> u8 {
    1
}

fn main() {}
