#![allow(unused_variables)]

use operator_runtime::{Sqlite, Tx, operator_api};

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(tx: &mut Tx<Sqlite>) -> u8 {
    1
}

fn main() {}
