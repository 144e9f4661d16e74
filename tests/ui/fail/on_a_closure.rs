use operator_runtime::operator_api;

fn main() {
    let orders = #[operator_api(GET, "/orders")]
    || 1;
    orders();
}
