#![allow(unused_variables)]

use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
#[operator(allow())]
async fn orders(
    /// The customer's number.
    #[operator(allow = "repeated_name")]
    customer: u64,
    /// The country's code.
    #[operator(allow)]
    country: String,
) -> u8 {
    1
}

fn main() {}
