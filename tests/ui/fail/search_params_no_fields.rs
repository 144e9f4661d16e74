#![allow(dead_code, unused_variables)]

use operator_runtime::{SearchParams, operator_api};

#[derive(serde::Deserialize, schemars::JsonSchema, SearchParams)]
enum Period {
    Day,
}

#[derive(serde::Deserialize, schemars::JsonSchema, SearchParams)]
struct Page(u8);

#[derive(serde::Deserialize, schemars::JsonSchema, SearchParams)]
struct Part<T> {
    #[operator(min = 1)]
    limit: T,
}

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(#[operator(flatten)] page: Page) -> u8 {
    1
}

fn main() {}
