use operator_runtime::operator_api;

struct Period;
struct Orders;
struct Refused;

/// Lists the orders of a period. Use it when one asks.
#[operator_api(POST, "/orders")]
async fn orders(
    /// The period.
    from: Period,
) -> Result<Orders, Refused> {
    let _ = from;
    Err(Refused)
}

fn main() {}
