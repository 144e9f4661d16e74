#![allow(unused_variables)]

use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
#[operator(allow(resource_names))]
async fn orders(
    /// The customer's number.
    #[operator(allow(repeated_name, sort_description))]
    customer: u64,
) -> u8 {
    1
}

fn main() {}
