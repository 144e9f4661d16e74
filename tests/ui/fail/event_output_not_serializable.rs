use operator_runtime::operator_event;

struct Note;

/// Greets the caller by name.
#[operator_event("conversation.ended")]
async fn greet() -> Note {
    Note
}

fn main() {}
