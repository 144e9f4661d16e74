#![allow(unused_variables)]

use operator_runtime::operator_api;

/// Id.
#[derive(operator_runtime::SearchParam)]
struct OrderId(u64);

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(
    /// What to look for.
    #[operator(pattern = "a")]
    id: OrderId,
) -> u8 {
    1
}

fn main() {}
