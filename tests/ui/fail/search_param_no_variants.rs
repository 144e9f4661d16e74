use operator_runtime::SearchParam;

/// A state.
#[derive(SearchParam)]
enum State {}

fn main() {}
