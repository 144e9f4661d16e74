use operator_runtime::operator_api;

/// Orders.
#[operator_api(GET, "/orders")]
struct Orders {
    count: u8,
}

fn main() {
    let _ = Orders { count: 1 }.count;
}
