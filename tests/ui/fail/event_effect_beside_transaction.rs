use operator_runtime::events::Context;
use operator_runtime::{Sqlite, Tx};
use operator_runtime::operator_event;

/// Greets the caller by name.
#[operator_event("conversation.setup", effect = rerunnable)]
async fn greet(_tx: &mut Tx<Sqlite>) -> Context {
    Context::new()
}

fn main() {}
