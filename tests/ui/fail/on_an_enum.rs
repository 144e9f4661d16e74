use operator_runtime::operator_api;

/// Orders.
#[operator_api(GET, "/orders")]
enum Orders {
    All,
}

fn main() {
    let _ = Orders::All;
}
