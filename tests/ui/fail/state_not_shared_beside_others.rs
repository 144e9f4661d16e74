#![allow(unused_variables)]

use operator_runtime::operator_api;

struct Desk(std::cell::Cell<u8>);
struct Ledger(std::rc::Rc<u8>);
struct Prices;

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(prices: &Prices, desk: &Desk, ledger: &Ledger) -> u8 {
    std::future::ready(()).await;
    desk.0.get()
}

fn main() {}
