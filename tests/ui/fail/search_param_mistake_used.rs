#![allow(unused_variables)]

use operator_runtime::{SearchParam, operator_api};

/// A period.
#[derive(SearchParam)]
struct Period(u8, u8);

/// How many.
#[derive(SearchParam)]
struct Count<T>(T);

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(
    /// From when, and until when.
    #[operator(min = 1)]
    period: Period,
    /// How many are listed.
    #[operator(pattern = "a")]
    most: Option<Count<u8>>,
) -> u8 {
    1
}

fn main() {}
