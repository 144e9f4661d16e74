use operator_runtime::OperatorError;

/// Why a refund fails.
#[derive(OperatorError)]
enum RefundError {
    #[operator(unknown, status = 502)]
    Status(std::io::Error),
    #[operator(retryable, unknown)]
    Retryable(std::io::Error),
    #[operator(unknown, internal)]
    Internal(std::io::Error),
    #[operator(unknown, detail = "The provider did not answer.")]
    Detail(std::io::Error),
    /// The provider did not answer.
    #[operator(unknown)]
    WithoutAField,
}

fn main() {}
