#![allow(unused_variables)]

use operator_runtime::{Sqlite, Tx, operator_api};

struct Desk;

/// Counts the orders. Use it to count them.
#[operator_api(POST, "/orders")]
async fn orders(tx: &mut Tx<Sqlite>, desk: &mut Desk) -> u8 {
    1
}

fn main() {}
