use operator_runtime::events::Context;
use operator_runtime::operator_event;

/// Greets the caller by name.
#[operator_event("conversation.setup")]
async fn greet(_phone: &str) -> Context {
    Context::new()
}

fn main() {}
