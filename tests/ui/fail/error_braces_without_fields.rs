use operator_runtime::OperatorError;

#[derive(OperatorError)]
enum Refused {
    /// The note may hold no {placeholder}.
    Note,
}

fn main() {}
