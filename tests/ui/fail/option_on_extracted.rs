#![allow(unused_variables)]

use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(#[operator(extract, min = 1)] method: axum::http::Method) -> u8 {
    1
}

fn main() {}
