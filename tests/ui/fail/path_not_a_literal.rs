use operator_runtime::operator_api;

const ORDERS: &str = "/orders";

/// Counts the orders. Use it to count them.
#[operator_api(GET, ORDERS)]
async fn orders() -> u8 {
    1
}

fn main() {}
