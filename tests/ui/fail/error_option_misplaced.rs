use operator_runtime::OperatorError;

#[derive(OperatorError)]
#[operator(status = 404)]
enum Refused {
    /// There is no order {id}.
    #[operator(status = 404, retryable)]
    #[operator(status = 409)]
    Missing {
        #[operator(internal)]
        id: u64,
    },
}

/// The shop is closed.
#[derive(OperatorError)]
struct Closed(#[operator(detail = "The shop is closed.")] u8);

fn main() {}
