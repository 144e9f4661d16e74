use operator_runtime::events::{Context, ConversationSetup};
use operator_runtime::operator_event;

/// Greets the caller by name.
#[operator_event("conversation.setup")]
#[operator(limit(calls = 20, within = "1h"))]
#[operator(allow(vague_description))]
async fn greet(_setup: ConversationSetup) -> Context {
    Context::new()
}

fn main() {}
