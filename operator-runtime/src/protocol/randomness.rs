//! Random bytes from the operating system.

/// The operating system returned no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("Cannot get random bytes from the operating system: {0}.")]
pub(crate) struct NoRandomBytes(pub(super) getrandom::Error);

/// Fills `bytes` with random bytes.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), NoRandomBytes> {
    getrandom::fill(bytes).map_err(NoRandomBytes)
}
