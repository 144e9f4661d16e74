use operator_runtime::operator_event;

/// Files a note.
#[operator_event("conversation.ended")]
async fn file_note() {}

/// Files another note.
#[operator_event("conversation.ended")]
async fn file_again() {}

fn main() {}
