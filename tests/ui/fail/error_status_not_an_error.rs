use operator_runtime::OperatorError;

/// Why a refund fails.
#[derive(OperatorError)]
enum RefundError {
    /// There is no such order.
    #[operator(status = 200)]
    Missing,
}

fn main() {}
