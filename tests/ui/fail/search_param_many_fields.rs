use operator_runtime::SearchParam;

/// A period.
#[derive(SearchParam)]
struct Period {
    from: String,
    to: String,
}

fn main() {}
