use operator_runtime::{OperatorError, operator_api};

const COUNTED: &str = "What to count.";

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn orders(
    #[doc = COUNTED] what: String,
) -> Result<u8, Failure> {
    let _ = what;
    Err(Failure::Made)
}

#[derive(OperatorError)]
enum Failure {
    #[doc = concat!("There is ", "none.")]
    Made,
}

fn main() {}
