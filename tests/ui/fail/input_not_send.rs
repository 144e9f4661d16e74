use operator_runtime::operator_api;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Order {
    #[serde(skip)]
    seen: std::rc::Rc<u8>,
}

/// Counts the orders. Use it to count them.
#[operator_api(POST, "/orders")]
async fn orders(
    /// The order to count.
    order: Order,
) -> u8 {
    std::future::ready(()).await;
    *order.seen
}

fn main() {}
