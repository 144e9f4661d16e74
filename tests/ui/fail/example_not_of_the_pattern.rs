#![allow(unused_variables)]

use operator_runtime::operator_api;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(
    /// What to look for.
    #[operator(pattern = "^[a-z]+$", default = String::from("ANY"), example = "7")]
    word: String,
    /// Who ordered.
    #[operator(format = "email", example = "ana")]
    customer: String,
    /// From when on.
    #[operator(format = "date", example = "24.11.2026")]
    day: String,
) -> u8 {
    1
}

fn main() {}
