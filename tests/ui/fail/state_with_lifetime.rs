#![allow(unused_variables)]

use operator_runtime::operator_api;

struct Desk<'a>(&'a str);

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders<'a>(desk: &'a Desk<'a>) -> u8 {
    1
}

fn main() {}
