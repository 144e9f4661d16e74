#![allow(unused_variables)]

use operator_runtime::operator_api;

struct Desk;

/// Counts the orders. Use it to count them.
#[operator_api(POST, "/orders")]
async fn orders(
    /// Where to look.
    desk: Desk,
) -> u8 {
    1
}

fn main() {}
