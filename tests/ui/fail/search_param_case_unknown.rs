use operator_runtime::SearchParam;

/// A state.
#[derive(SearchParam)]
#[serde(rename_all = "kebabcase")]
enum State {
    Open,
}

fn main() {}
