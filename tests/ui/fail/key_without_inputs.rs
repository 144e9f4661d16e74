use operator_runtime::operator_api;

/// Closes the shop. Use it in the evening.
#[operator_api(POST, "/close", key(day))]
async fn close() {}

fn main() {}
