use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(
    /// Which orders.
    #[operator(lenient)]
    kind: String,
) -> String {
    kind
}

fn main() {}
