use operator_runtime::OperatorError;

/// Why a refund fails.
#[derive(OperatorError)]
enum RefundError {
    #[operator(detail = "There is no order {order_id.")]
    Missing { order_id: u64 },
}

fn main() {}
