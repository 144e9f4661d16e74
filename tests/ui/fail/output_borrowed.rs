use operator_runtime::operator_api;

struct Desk(String);

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(desk: &Desk) -> &str {
    &desk.0
}

fn main() {}
