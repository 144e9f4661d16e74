//! Names an operation and its content: two hashes over length-prefixed parts.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// Which operation: SHA-256 over tenant and idempotency key.
///
/// The tenant is part of it, so that one tenant never sees another's answers; the signing key is not, so that
/// rotating keys moves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId([u8; 32]);

impl OperationId {
    /// The operation that `tenant` names by `idempotency_key`.
    #[must_use]
    pub fn new(tenant: &str, idempotency_key: &str) -> Self {
        Self(hash([tenant.as_bytes(), idempotency_key.as_bytes()]))
    }

    /// The 32 bytes a store keeps the record under.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Every id there can be.
    #[must_use]
    pub fn all() -> RangeInclusive<Self> {
        Self([0; 32])..=Self([0xff; 32])
    }

    /// The operation whose record a store keeps under these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// A text that is not an operation's 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an operation's id is 64 hexadecimal digits")]
#[non_exhaustive]
pub struct ParseOperationIdError;

/// From 64 hexadecimal digits, as `Display` writes them.
///
/// ```
/// use operator_runtime::store::OperationId;
///
/// let id = OperationId::new("shop", "refund-1004");
/// assert_eq!(id.to_string().parse(), Ok(id));
/// let error = "refund-1004".parse::<OperationId>().unwrap_err();
/// assert_eq!(error.to_string(), "an operation's id is 64 hexadecimal digits");
/// ```
impl FromStr for OperationId {
    type Err = ParseOperationIdError;

    fn from_str(digits: &str) -> Result<Self, Self::Err> {
        // `const_hex` would take `0x` before the digits.
        let digits = if digits.len() == 64 { digits } else { "" };
        let mut bytes = [0; 32];
        let decoded = const_hex::decode_to_slice(digits, &mut bytes);
        decoded.map(|()| Self(bytes)).map_err(|_| ParseOperationIdError)
    }
}

impl OperationId {
    /// The first digits, which hardly ever begin another operation too.
    pub(crate) fn abbreviated(&self) -> String {
        let mut digits = self.to_string();
        digits.truncate(12);
        digits
    }
}

/// As 64 hexadecimal digits.
impl fmt::Display for OperationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(formatter, &self.0)
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Enough for most endpoints' names, idempotency keys and tenants.
const ROOM: usize = 128;

/// The texts one behind the other, if there is room for them.
fn join<'r>(parts: &[&str], room: &'r mut [u8]) -> Option<&'r str> {
    let mut length = 0;
    for part in parts {
        let end = length + part.len();
        room.get_mut(length..end)?.copy_from_slice(part.as_bytes());
        length = end;
    }
    str::from_utf8(&room[..length]).ok()
}

/// Which call began an operation, in the words that a person looks it up by elsewhere. Nothing is decided by it.
///
/// It is empty where a version of this crate wrote the record that did not keep it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Origin(Arc<str>);

impl Origin {
    /// Neither an endpoint's name nor an idempotency key holds a line feed, so that the parts are found again.
    #[must_use]
    pub fn new(endpoint: &str, idempotency_key: &str, tenant: &str) -> Self {
        let parts = [endpoint, "\n", idempotency_key, "\n", tenant];
        let mut room = [0; ROOM];
        // Put together on the stack where there is room for it, so that it is allocated once.
        match join(&parts, &mut room) {
            Some(text) => Self(text.into()),
            None => Self(parts.concat().into()),
        }
    }

    /// The name of the endpoint that was called.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.part(0)
    }

    /// The key that the caller gave the operation, and that a handler may have passed on.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        self.part(1)
    }

    /// Whose signing key it was.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.part(2)
    }

    fn part(&self, place: usize) -> &str {
        self.0.splitn(3, '\n').nth(place).unwrap_or_default()
    }

    pub(crate) fn as_text(&self) -> &str {
        &self.0
    }

    pub(super) fn from_text(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Origin")
            .field("endpoint", &self.endpoint())
            .field("idempotency_key", &self.idempotency_key())
            .field("tenant", &self.tenant())
            .finish()
    }
}

/// What was asked for: SHA-256 over method, path, content type and raw body.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of one request, byte for byte as it arrived.
    #[must_use]
    pub fn new(method: &str, path: &str, content_type: &str, body: &[u8]) -> Self {
        Self(hash([
            method.as_bytes(),
            path.as_bytes(),
            content_type.as_bytes(),
            body,
        ]))
    }

    /// The 32 bytes of the hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(formatter, &self.0)
    }
}

/// The length before each part keeps `("ab", "c")` and `("a", "bc")` apart.
fn hash<const PARTS: usize>(parts: [&[u8]; PARTS]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn write_hex(formatter: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_boundary_makes_another_operation() {
        assert_ne!(OperationId::new("ab", "c"), OperationId::new("a", "bc"));
        assert_ne!(OperationId::new("", "abc"), OperationId::new("abc", ""));
        assert_eq!(OperationId::new("a", "b"), OperationId::new("a", "b"));
    }

    #[test]
    fn an_id_is_read_as_it_is_written_and_nothing_else_is() {
        let id = OperationId::new("tenant", "key");
        let digits = id.to_string();
        assert_eq!(digits.parse(), Ok(id));
        assert_eq!(digits.to_uppercase().parse(), Ok(id));
        for wrong in [
            "",
            "ab",
            &digits[1..],
            &format!("0x{}", &digits[2..]),
            &format!("0x{digits}"),
            &"g".repeat(64),
        ] {
            let error = wrong.parse::<OperationId>().unwrap_err();
            assert_ne!(format!("{error:?}"), error.to_string());
        }
    }

    #[test]
    fn what_began_an_operation_is_told_part_by_part() {
        let origin = Origin::new("refund_order", "key-1", "a\ntenant");
        assert_eq!(
            (origin.endpoint(), origin.idempotency_key(), origin.tenant()),
            ("refund_order", "key-1", "a\ntenant")
        );
        let long = "x".repeat(ROOM);
        assert_eq!(Origin::new("refund_order", "key-1", &long).tenant(), long);
        let empty = Origin::default();
        assert_eq!(
            (empty.endpoint(), empty.idempotency_key(), empty.tenant()),
            ("", "", "")
        );
    }

    #[test]
    fn every_part_of_a_request_counts() {
        let fingerprints = [
            Fingerprint::new("POST", "/a", "application/json", b"{}"),
            Fingerprint::new("PUT", "/a", "application/json", b"{}"),
            Fingerprint::new("POST", "/b", "application/json", b"{}"),
            Fingerprint::new("POST", "/a", "text/plain", b"{}"),
            Fingerprint::new("POST", "/a", "application/json", b"{ }"),
            Fingerprint::new("POST/", "a", "application/json", b"{}"),
        ];
        let distinct: std::collections::HashSet<_> = fingerprints.iter().collect();
        assert_eq!(distinct.len(), fingerprints.len());
    }
}
