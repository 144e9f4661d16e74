use operator_runtime::SearchParam;

/// How soon.
#[derive(SearchParam)]
#[operator(rename = "soon")]
enum Urgency {
    #[operator(rename = "now", rename = "today")]
    Now,
}

/// How many.
#[derive(SearchParam)]
#[operator(min = 1)]
struct Count(#[operator(max = 9)] u8);

fn main() {}
