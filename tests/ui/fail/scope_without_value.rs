use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders", scope)]
async fn orders() -> u8 {
    1
}

fn main() {}
