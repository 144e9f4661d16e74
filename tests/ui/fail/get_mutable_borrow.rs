#![allow(unused_variables)]

use operator_runtime::operator_api;

struct Desk;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(desk: &mut Desk) -> u8 {
    1
}

fn main() {}
