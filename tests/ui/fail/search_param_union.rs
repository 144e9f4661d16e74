use operator_runtime::SearchParam;

/// A state.
#[derive(SearchParam)]
union State {
    one: u8,
}

fn main() {}
