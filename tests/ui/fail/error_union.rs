use operator_runtime::OperatorError;

/// It failed.
#[derive(OperatorError)]
union Failed {
    one: u8,
}

fn main() {}
