use operator_runtime::operator_api;

struct Desk;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(desk: &'static Desk) -> u8 {
    let _ = desk;
    1
}

fn main() {}
