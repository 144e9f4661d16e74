use operator_runtime::SearchParam;

/// Ids.
#[derive(SearchParam)]
struct Ids(Vec<u64>);

fn main() {}
