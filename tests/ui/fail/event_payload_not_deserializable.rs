use operator_runtime::events::Context;
use operator_runtime::operator_event;

struct Setup;

/// Greets the caller by name.
#[operator_event("conversation.setup")]
async fn greet(_setup: Setup) -> Context {
    Context::new()
}

fn main() {}
