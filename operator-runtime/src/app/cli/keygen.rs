//! `keygen`: prints a new signing key.

use super::{Done, print};
use crate::protocol::signature::generate_secret;

pub(super) fn run() -> Done {
    let secret = generate_secret().map_err(|error| format!("The machine gave no random bytes: {error}."))?;
    print(&format!("{secret}\n"))
}
