use operator_runtime::{Error, operator_api};

#[derive(serde::Serialize)]
struct Orders;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders() -> Result<Orders, Error> {
    Ok(Orders)
}

fn main() {}
