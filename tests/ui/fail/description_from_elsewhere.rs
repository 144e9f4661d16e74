use operator_runtime::operator_api;

#[doc = concat!("Counts", " the orders.")]
#[operator_api(GET, "/orders")]
async fn orders() -> u8 {
    1
}

fn main() {}
