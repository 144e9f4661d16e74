use operator_runtime::operator_api;

struct Refused;

/// Counts the orders. Use it to count them.
#[operator_api(POST, "/orders", errors(Refused))]
async fn orders() -> u8 {
    1
}

fn main() {}
