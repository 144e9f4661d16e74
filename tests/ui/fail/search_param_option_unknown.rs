use operator_runtime::SearchParam;

/// A state.
#[derive(SearchParam)]
enum State {
    #[operator(name = "open")]
    Open,
}

fn main() {}
