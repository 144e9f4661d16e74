use operator_runtime::OperatorError;

/// It failed.
#[derive(OperatorError)]
struct Failed<T>(T);

fn main() {}
