use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/count")]
async fn orders() -> u8 {
    1
}

/// Counts the refunds. Use it to count them.
#[operator_api(POST, "/count")]
async fn refunds() -> u8 {
    2
}

fn main() {}
