use operator_runtime::operator_api;

struct Desk;

#[operator_api(GET, "/orders")]
impl Desk {}

fn main() {
    let _ = Desk;
}
