use operator_runtime::events::{Context, ConversationSetup, Event};
use operator_runtime::operator_event;

/// Greets the caller by name.
#[operator_event("conversation.setup")]
async fn greet(_setup: ConversationSetup, _event: Event) -> Context {
    Context::new()
}

fn main() {}
