use operator_runtime::events::Context;
use operator_runtime::operator_event;

/// Greets the caller by name.
#[operator_event("conversation.setup")]
#[operator_runtime::operator_api(GET, "/greeting")]
async fn greet() -> Context {
    Context::new()
}

fn main() {}
