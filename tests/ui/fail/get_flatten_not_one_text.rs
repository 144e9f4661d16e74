#![allow(dead_code, unused_variables)]

use operator_runtime::{SearchParams, operator_api};

/// A period.
#[derive(serde::Deserialize, schemars::JsonSchema, SearchParams)]
struct Period {
    from: String,
    days: Vec<String>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Rest {
    to: String,
}

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(#[operator(flatten)] period: Period) -> u8 {
    1
}

fn main() {}
