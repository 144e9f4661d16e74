use axum::Extension;
use axum::extract::State;
use operator_runtime::operator_api;

#[derive(Clone)]
struct Desk(u8);

struct Page;

struct Query<T>(T);

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn counted(
    State(desk): State<Desk>,
    #[operator(extract)] Query(_page): Query<Page>,
    #[operator(extract)] Extension(other): Extension<Desk>,
) -> u8 {
    desk.0 + other.0
}

fn main() {}
