use operator_runtime::events::{Context, ConversationSetup};
use operator_runtime::operator_event;

/// Greets the caller by name.
#[operator_event("conversation.set_up")]
async fn greet(_setup: ConversationSetup) -> Context {
    Context::new()
}

fn main() {}
