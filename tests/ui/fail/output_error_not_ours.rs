use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders() -> Result<u8, std::fmt::Error> {
    Ok(1)
}

fn main() {}
