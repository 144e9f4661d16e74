use operator_runtime::operator_api;

/// Stands for schemars 0.8, whose trait has the same name.
mod schemars {
    pub trait JsonSchema {}
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Order {
    id: u64,
}

impl schemars::JsonSchema for Order {}

/// Keeps an order. Use it to keep one.
#[operator_api(POST, "/orders")]
async fn keep(
    /// What to keep.
    order: Order,
) -> Order {
    order
}

fn main() {}
