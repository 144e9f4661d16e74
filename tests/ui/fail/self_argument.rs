use operator_runtime::operator_api;

struct Desk;

impl Desk {
    /// Counts the orders. Use it to count them.
    #[operator_api(GET, "/orders")]
    async fn orders(&self) -> u8 {
        1
    }
}

fn main() {}
