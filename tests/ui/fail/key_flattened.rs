use operator_runtime::operator_api;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Order {
    /// The shop's number.
    shop: u8,
}

/// Refunds an order. Use it once the customer has agreed.
#[operator_api(POST, "/refunds", key(order))]
async fn refund(
    /// The number on the receipt.
    order_id: u64,
    #[operator(flatten)] order: Order,
) -> u64 {
    order_id + u64::from(order.shop)
}

fn main() {}
