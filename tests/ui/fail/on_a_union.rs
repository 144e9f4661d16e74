use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
union Orders {
    count: u8,
}

fn main() {}
