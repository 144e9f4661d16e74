use operator_runtime::operator_api;

#[doc = concat!("", " ")]
#[operator_api(GET, "/orders")]
async fn orders(
    #[doc = concat!()] what: String,
) -> usize {
    what.len()
}

fn main() {}
