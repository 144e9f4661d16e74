use operator_runtime::{Error, operator_api};

struct Desk(String);

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(desk: &Desk) -> Result<Option<&str>, Error> {
    Ok(desk.0.get(1..))
}

fn main() {}
