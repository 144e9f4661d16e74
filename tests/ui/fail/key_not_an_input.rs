use operator_runtime::operator_api;

/// Refunds an order. Use it once the customer has agreed.
#[operator_api(POST, "/refunds", key(desk, order_id))]
async fn refund(
    desk: &u8,
    /// The number on the receipt.
    order_id: u64,
) -> u64 {
    order_id + u64::from(*desk)
}

fn main() {}
