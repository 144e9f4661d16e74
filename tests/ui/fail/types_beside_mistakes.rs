#![allow(unused_variables)]

use operator_runtime::operator_api;

struct Filter;
struct Desk(std::rc::Rc<u8>);
struct Refused;

/// Counts the orders. Use it to count them.
#[operator_api(get, "/orders")]
async fn orders(
    desk: &Desk,
    /// Which ones are counted.
    filter: Filter,
    /// What to look for.
    #[operator(min = 1)]
    word: String,
    /// What may be left out.
    #[operator(mni = 1)]
    misread: Filter,
) -> Result<u8, Refused> {
    Err(Refused)
}

fn main() {}
