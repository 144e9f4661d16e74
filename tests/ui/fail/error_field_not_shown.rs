use operator_runtime::OperatorError;

struct OrderId(u64);

/// Why a refund fails.
#[derive(OperatorError)]
enum RefundError {
    /// There is no order {id}.
    Missing { id: OrderId },
}

fn main() {}
