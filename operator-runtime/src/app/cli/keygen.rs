//! `keygen`: prints a new signing key.

use super::{Done, print};
use crate::protocol::signature::generate_secret;

pub(super) fn run() -> Done {
    let secret = generate_secret().map_err(|error| error.to_string())?;
    print(&format!("{secret}\n"))
}
