#![allow(unused_variables)]

use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(
    /// The order id.
    order_id: u64,
) -> u8 {
    1
}

fn main() {}
