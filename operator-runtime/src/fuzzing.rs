//! Entry points for the fuzz targets in `tests/fuzz-targets`: parsers of untrusted text that have no public function.
//!
//! This module is not part of the public API. It exists only with `--cfg fuzzing`, which `cargo fuzz` sets.

use crate::console::comparison;
use crate::protocol::api_keys::ApiKeys;
use crate::protocol::ed25519::VerifyingKeys;
use crate::protocol::signature::Keys;
use crate::store;

/// Reads a pasted request, and a pasted payload.
pub fn pasted(text: &str) {
    comparison::read_pasted(text);
}

/// Reads a list of signing keys, in both of its forms, and lists of API keys and of verifying keys.
pub fn key_lists(text: &str) {
    drop(Keys::parse("a list", text).map_err(|error| error.to_string()));
    drop(Keys::parse_lines("a file", text).map_err(|error| error.to_string()));
    drop(ApiKeys::parse("a list", text, &Keys::default()).map_err(|error| error.to_string()));
    let no_file = |_: &str| Err("is not read here".to_owned());
    drop(VerifyingKeys::parse("a list", text, &no_file).map_err(|error| error.to_string()));
}

/// Parses the address of a store without opening the store.
pub fn store_address(address: &str) {
    drop(store::read_address(address).map_err(|error| store::not_opened("OPERATOR_STORE", address, &error)));
}
