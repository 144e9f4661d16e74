use operator_runtime::OperatorError;

/// Why a refund fails.
#[derive(OperatorError)]
enum RefundError {
    #[operator(status = "404", detail = "There is no order {id}.")]
    Missing { order_id: u64 },
    #[operator(retryable = true, 503)]
    /// The bank is busy.
    Busy,
    #[operator(detail)]
    Refused,
    #[operator(detail = 3)]
    Late,
}

fn main() {}
