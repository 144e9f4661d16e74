#![allow(unused_variables)]

use operator_runtime::operator_api;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Period {
    from: String,
}

/// Counts the orders. Use it to count them.
#[operator_api(POST, "/orders")]
async fn orders(
    #[operator(flatten)] one: Period,
    #[operator(flatten)] two: Period,
) -> u8 {
    1
}

fn main() {}
