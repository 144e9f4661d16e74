use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
type Orders = Vec<u8>;

fn main() {}
