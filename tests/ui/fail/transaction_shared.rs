#![allow(unused_variables)]

use operator_runtime::{Sqlite, Tx, operator_api};

/// Counts the orders. Use it to count them.
#[operator_api(POST, "/orders")]
async fn orders(tx: &Tx<Sqlite>) -> u8 {
    1
}

fn main() {}
