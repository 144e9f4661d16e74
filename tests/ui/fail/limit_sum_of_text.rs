use operator_runtime::operator_api;

/// Refunds an order. Use it once the customer has agreed.
#[operator_api(POST, "/refunds")]
#[operator(limit(sum = amount_cents, max = 10_000, within = "24h"))]
async fn refund(
    /// The number on the receipt.
    order_id: u64,
    /// How much to pay back, as text.
    amount_cents: String,
) -> u64 {
    let _ = amount_cents;
    order_id
}

fn main() {}
