use operator_runtime::operator_event;

#[operator_event("conversation.setup")]
struct Greeting;

fn main() {}
