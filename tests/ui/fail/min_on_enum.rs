#![allow(unused_variables)]

use operator_runtime::operator_api;

/// State.
#[derive(operator_runtime::SearchParam)]
enum State {
    Open,
}

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(
    /// What to look for.
    #[operator(min = 1)]
    state: State,
) -> u8 {
    1
}

fn main() {}
