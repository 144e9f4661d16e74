use operator_runtime::operator_api;

/// Refunds an order. Use it once the customer has agreed.
#[operator_api(POST, "/refunds")]
#[operator(limit(calls = 20, within = "0s"))]
#[operator(limit(calls = 20, within = "32d"))]
#[operator(limit(calls = 20, within = "500ms"))]
#[operator(limit(calls = 20, within = 24))]
async fn refund(
    /// The number on the receipt.
    order_id: u64,
    /// How much to pay back, in cents.
    amount_cents: u32,
) -> u64 {
    let _ = amount_cents;
    order_id
}

fn main() {}
