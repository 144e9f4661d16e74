use operator_runtime::operator_api;

/// Refunds an order. Use it once the customer has agreed.
#[operator_api(POST, "/refunds")]
async fn refund(
    /// The number on the receipt.
    #[operator(limit(calls = 20, within = "1h"))]
    order_id: u64,
) -> u64 {
    order_id
}

fn main() {}
