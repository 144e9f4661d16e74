use operator_runtime::{Error, operator_api};

struct Orders;

type Answered<T> = Result<T, Error>;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders() -> Answered<Orders> {
    Ok(Orders)
}

fn main() {}
