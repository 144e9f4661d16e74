use operator_runtime::OperatorError;

/// Why a refund fails.
#[derive(OperatorError)]
enum RefundError {
    #[operator(internal, status = 502)]
    Broken(std::io::Error),
}

fn main() {}
