use operator_runtime::operator_api;

struct Desk(std::cell::Cell<u8>);

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(desk: &Desk) -> u8 {
    desk.0.get()
}

fn main() {}
