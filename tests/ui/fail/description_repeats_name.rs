use operator_runtime::operator_api;

/// The orders.
#[operator_api(GET, "/orders")]
async fn orders() -> u8 {
    1
}

fn main() {}
