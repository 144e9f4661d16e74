use operator_runtime::operator_api;

/// Refunds an order. Use it once the customer has agreed.
#[operator_api(POST, "/refunds", key(order_id), key(order_id))]
async fn refund(
    /// The number on the receipt.
    order_id: u64,
) -> u64 {
    order_id
}

fn main() {}
