use std::sync::Arc;

use axum::extract::State;
use operator_runtime::operator_api;

struct Desk;

struct Query<T>(T);

struct Json<T>(T);

/// Counts the orders. Use it to count them.
#[operator_api(GET, "/orders")]
async fn counted(
    /// The desk.
    state: State<Arc<Desk>>,
    /// Which page it is.
    page: Query<u8>,
) -> usize {
    Arc::strong_count(&state.0) + usize::from(page.0)
}

/// Keeps an order. Use it to keep one.
#[operator_api(POST, "/kept")]
async fn kept(
    #[operator(extract)] state: State<Arc<Desk>>,
    /// What to keep.
    order: Json<u8>,
) -> usize {
    Arc::strong_count(&state.0) + usize::from(order.0)
}

fn main() {}
