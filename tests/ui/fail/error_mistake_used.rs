use operator_runtime::{OperatorError, operator_api};

#[derive(OperatorError)]
enum Refused {
    Closed,
}

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders() -> Result<u8, Refused> {
    Err(Refused::Closed)
}

/// Counts the refunds. Use it to count them.
#[operator_api(GET, "/refunds", errors(Refused))]
async fn refunds() -> u8 {
    1
}

fn main() {}
