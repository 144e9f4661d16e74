use operator_runtime::operator_api;

/// Refunds an order. Use it once the customer has agreed.
#[operator_api(POST, "/refunds")]
#[operator(limit(calls = 20, calls = 30, within = "1h", within = "2h"))]
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
