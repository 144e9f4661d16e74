use operator_runtime::OperatorError;

/// Why a refund fails.
#[derive(OperatorError)]
enum RefundError {
    #[operator(internal)]
    Broken(std::io::Error, u8),
}

fn main() {}
