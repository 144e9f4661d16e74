use operator_runtime::{OperatorError, SearchParam, SearchParams, operator_api};

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders", crate = "my_wrapper::rt")]
async fn orders() -> u8 {
    1
}

#[derive(SearchParam)]
#[operator(crate = "my_wrapper::rt")]
enum Case {
    Same,
}

#[derive(SearchParams)]
#[operator(crate = my_wrapper::rt)]
struct Page {
    limit: u8,
}

#[derive(OperatorError)]
#[operator(crate = "my_wrapper::rt")]
enum Refused {
    /// The word is too long.
    Long,
}

fn main() {}
