use operator_runtime::SearchParam;

/// A state.
#[derive(SearchParam)]
enum State {
    Open,
    Closed(u8),
    Lost { why: String },
}

fn main() {}
