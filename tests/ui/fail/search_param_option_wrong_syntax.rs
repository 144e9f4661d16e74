use operator_runtime::SearchParam;

/// A state.
#[derive(SearchParam)]
enum State {
    #[operator(rename = open)]
    Open,
    #[operator(rename)]
    Closed,
}

fn main() {}
