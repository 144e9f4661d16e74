use operator_runtime::{OperatorError, SearchParam, SearchParams, operator_api};

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders", crate = 3)]
async fn orders() -> u8 {
    1
}

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/others", crate(operator_runtime))]
async fn others() -> u8 {
    1
}

#[derive(SearchParam)]
#[operator(crate = "operator runtime")]
enum Case {
    Same,
}

#[derive(SearchParams)]
#[operator(crate)]
struct Page {
    limit: u8,
}

#[derive(OperatorError)]
enum Refused {
    /// The word is too long.
    #[operator(crate = "operator_runtime")]
    Long,
}

fn main() {}
