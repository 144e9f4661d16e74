#![allow(unused_variables)]

use operator_runtime::operator_api;

#[derive(schemars::JsonSchema)]
struct Period {
    from: String,
}

/// Counts the orders. Use it to count them.
#[operator_api(POST, "/orders")]
async fn orders(
    /// What to look for.
    period: Period,
) -> u8 {
    1
}

fn main() {}
