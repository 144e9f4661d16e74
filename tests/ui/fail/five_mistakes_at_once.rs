#![allow(unused_variables)]

use operator_runtime::operator_api;

/// Lists the orders of a customer. Use it when one asks.
#[operator_api(get, "orders/", timeout = "soon")]
async fn orders(
    /// The e-mail address the customer orders with.
    #[operator(formt = "email")]
    email: String,
    /// How many to return.
    #[operator(min = 9, max = 3)]
    limit: u8,
) -> u8 {
    limit
}

fn main() {
    let _ = orders(String::new(), 1);
}
