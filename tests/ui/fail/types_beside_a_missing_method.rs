#![allow(unused_variables)]

use operator_runtime::operator_api;

struct Filter;
struct Desk(std::rc::Rc<u8>);

/// Counts the orders. Use it to count them.
#[operator_api("/orders")]
async fn orders(
    desk: &Desk,
    /// Which orders are counted. Whether this type is allowed depends on the method.
    filter: Filter,
) -> u8 {
    1
}

fn main() {}
