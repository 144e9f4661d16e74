#![allow(unused_variables)]

use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(
    /// What to look for.
    #[operator(pattern = "(?i)^[a-z]+$")]
    word: String,
    /// Where to look.
    #[operator(pattern = r"\A[[:alpha:]]+\z")]
    place: String,
) -> u8 {
    1
}

fn main() {}
