use operator_runtime::operator_api;

#[derive(schemars::JsonSchema)]
struct Orders;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders() -> Orders {
    Orders
}

fn main() {}
