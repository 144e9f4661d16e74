use operator_runtime::events::{Context, ConversationSetup};
use operator_runtime::operator_event;

/// Greets the caller by name.
#[operator_event(custom = "conversation.setup")]
async fn greet(_setup: ConversationSetup) -> Context {
    Context::new()
}

fn main() {}
