#![allow(dead_code, unused_variables)]

use operator_runtime::operator_api;

/// A period.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Period {
    from: String,
    days: Vec<String>,
}

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(#[operator(flatten)] period: Period) -> u8 {
    1
}

fn main() {}
