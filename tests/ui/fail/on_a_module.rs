use operator_runtime::operator_api;

#[operator_api(GET, "/orders")]
mod orders {}

fn main() {}
