use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(POST, "/orders")]
async fn orders(
    /// Which orders.
    #[operator(lenient, min_length = 3)]
    kind: String,
    /// How many.
    #[operator(lenient = true)]
    count: u8,
    #[operator(flatten, lenient)] more: More,
) -> String {
    format!("{kind} {count} {}", more.one)
}

/// More.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct More {
    /// One.
    one: u8,
}

fn main() {}
