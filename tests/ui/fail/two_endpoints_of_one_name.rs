use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders", name = "refunds")]
async fn orders() -> u8 {
    1
}

/// Counts the refunds. Use it to count them.
#[operator_api(GET, "/refunds")]
async fn refunds() -> u8 {
    2
}

fn main() {}
