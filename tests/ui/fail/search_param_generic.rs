use operator_runtime::SearchParam;

/// An id.
#[derive(SearchParam)]
struct Id<T>(T);

fn main() {}
