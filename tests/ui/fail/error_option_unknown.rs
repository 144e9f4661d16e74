use operator_runtime::OperatorError;

/// Why a refund fails.
#[derive(OperatorError)]
enum RefundError {
    /// There is no such order.
    #[operator(statuss = 404)]
    Missing,
}

fn main() {}
