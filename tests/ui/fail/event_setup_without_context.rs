use operator_runtime::Error;
use operator_runtime::events::ConversationSetup;
use operator_runtime::operator_event;

/// Greets the caller by name.
#[operator_event("conversation.setup")]
async fn greet(setup: ConversationSetup) -> Result<String, Error> {
    Ok(format!("{setup:?}"))
}

fn main() {}
