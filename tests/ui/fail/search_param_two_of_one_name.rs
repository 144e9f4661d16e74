use operator_runtime::SearchParam;

/// A state.
#[derive(SearchParam)]
enum State {
    #[serde(rename = "open")]
    Open,
    #[operator(rename = "open")]
    Opened,
}

fn main() {}
