use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
pub async fn orders() -> u8;

fn main() {}
