//! The id of an operation and the fingerprint of its request: two hashes over length-prefixed parts.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The id of an operation: SHA-256 over tenant and idempotency key, and over the kind of a key that no header contains.
///
/// The tenant is part of the id, so that no tenant sees the responses of another tenant. The signing key is not part of
/// the id, so that operations keep their ids when keys are rotated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId([u8; 32]);

impl OperationId {
    /// The id of the operation for which a caller of this `tenant` sends this `idempotency_key` in a header.
    #[must_use]
    pub fn new(tenant: &str, idempotency_key: &str) -> Self {
        Self(hash([tenant.as_bytes(), idempotency_key.as_bytes()]))
    }

    /// The id of the operation whose key is made from the content of a request. No key in a header has the same id,
    /// because the number of hashed parts differs.
    pub(crate) fn of_content(source: KeySource, tenant: &str, key: &str) -> Self {
        Self(hash([source.name(), tenant, key].map(str::as_bytes)))
    }

    /// The 32 bytes under which a store keeps the record.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The range of all possible ids.
    #[must_use]
    pub fn all() -> RangeInclusive<Self> {
        Self([0; 32])..=Self([0xff; 32])
    }

    /// The id that consists of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Which part of a request's content is the key of its operation. The source is part of the operation's id, so that keys
/// of different sources never name the same operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// The inputs that the endpoint's `key(…)` names.
    Inputs,
    /// The id of an event.
    Event,
}

impl KeySource {
    fn name(self) -> &'static str {
        match self {
            Self::Inputs => "inputs",
            Self::Event => "event",
        }
    }

    /// The key that these inputs make: the same for each call of this tenant with the same inputs. A handler may pass the
    /// key on to another system, so the tenant is part of it: two tenants may have an order of the same number.
    pub(crate) fn key_of_inputs(tenant: &str, endpoint: &str, inputs: &str) -> String {
        let digest = hash([tenant, endpoint, inputs].map(str::as_bytes));
        format!("{}-{}", Self::Inputs.name(), const_hex::encode(digest))
    }
}

/// A text that is not an operation's 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an operation's id is 64 hexadecimal digits")]
#[non_exhaustive]
pub struct ParseOperationIdError;

/// Parses 64 hexadecimal digits, as `Display` writes them.
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
        // The length is checked first, because `const_hex` would also accept `0x` before the digits.
        let digits = if digits.len() == 64 { digits } else { "" };
        let mut bytes = [0; 32];
        let decoded = const_hex::decode_to_slice(digits, &mut bytes);
        decoded.map(|()| Self(bytes)).map_err(|_| ParseOperationIdError)
    }
}

impl OperationId {
    /// The first 12 hexadecimal digits, which are almost always unique.
    pub(crate) fn abbreviated(&self) -> String {
        let mut digits = self.to_string();
        digits.truncate(12);
        digits
    }
}

/// Writes the id as 64 hexadecimal digits.
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

/// The size of a buffer that is large enough for most endpoints' names, idempotency keys and tenants.
const ROOM: usize = 128;

/// Joins the texts in the buffer `room`. Returns `None` if the buffer is too small.
fn join<'r>(parts: &[&str], room: &'r mut [u8]) -> Option<&'r str> {
    let mut length = 0;
    for part in parts {
        let end = length + part.len();
        room.get_mut(length..end)?.copy_from_slice(part.as_bytes());
        length = end;
    }
    str::from_utf8(&room[..length]).ok()
}

/// The call that began an operation: endpoint, idempotency key and tenant. People use these values to search other
/// systems; no decision depends on them.
///
/// The origin is empty in records of format 1, which did not store it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Origin(Arc<str>);

impl Origin {
    /// Joins the parts with line feeds. Neither an endpoint's name nor an idempotency key contains a line feed, so the
    /// parts can be split again.
    #[must_use]
    pub fn new(endpoint: &str, idempotency_key: &str, tenant: &str) -> Self {
        let parts = [endpoint, "\n", idempotency_key, "\n", tenant];
        let mut room = [0; ROOM];
        // A short text is first joined on the stack, so that only the `Arc` is allocated.
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

    /// The operation's idempotency key, which a handler may have passed on to other systems.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        self.part(1)
    }

    /// The tenant of the signing key.
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

/// The fingerprint of a request: SHA-256 over method, path, content type and raw body, or over the key that the request's
/// content makes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of one request, whose parts are byte for byte as they arrived.
    #[must_use]
    pub fn new(method: &str, path: &str, content_type: &str, body: &[u8]) -> Self {
        Self(hash([
            method.as_bytes(),
            path.as_bytes(),
            content_type.as_bytes(),
            body,
        ]))
    }

    /// The fingerprint of every request with this key. The key is made from all that identifies such a request.
    pub(crate) fn of_content(source: KeySource, key: &str) -> Self {
        Self(hash([source.name(), key].map(str::as_bytes)))
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

/// Each part follows its length, so that `("ab", "c")` and `("a", "bc")` have different hashes.
pub(crate) fn hash<const PARTS: usize>(parts: [&[u8]; PARTS]) -> [u8; 32] {
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
    fn the_boundary_between_tenant_and_key_is_part_of_the_id() {
        assert_ne!(OperationId::new("ab", "c"), OperationId::new("a", "bc"));
        assert_ne!(OperationId::new("", "abc"), OperationId::new("abc", ""));
        assert_eq!(OperationId::new("a", "b"), OperationId::new("a", "b"));
    }

    /// Joins parts as they are hashed.
    fn hashed(parts: &[&str]) -> Vec<u8> {
        let part = |part: &&str| [&(part.len() as u64).to_be_bytes(), part.as_bytes()].concat();
        parts.iter().flat_map(part).collect()
    }

    #[test]
    fn the_content_of_a_request_never_names_the_operation_of_a_header() {
        let of_content = OperationId::of_content(KeySource::Inputs, "a", "b");
        assert_eq!(
            of_content.as_bytes(),
            &<[u8; 32]>::from(Sha256::digest(hashed(&["inputs", "a", "b"])))
        );
        // A header's key for which the first two parts are the same: the whole text is longer than that of the header.
        assert!(hashed(&["inputs", "a", "b"]).starts_with(&hashed(&["inputs", "a"])));
        assert_ne!(of_content, OperationId::new("inputs", "a"));
        assert_ne!(of_content, OperationId::new("a", "b"));
        assert_ne!(of_content, OperationId::of_content(KeySource::Inputs, "b", "b"));
        assert_ne!(of_content, OperationId::of_content(KeySource::Event, "a", "b"));
        assert_ne!(
            Fingerprint::of_content(KeySource::Inputs, "b"),
            Fingerprint::of_content(KeySource::Event, "b")
        );
    }

    #[test]
    fn the_key_that_inputs_make_depends_on_tenant_endpoint_and_inputs() {
        let keys = [
            KeySource::key_of_inputs("a", "refund", "{}"),
            KeySource::key_of_inputs("b", "refund", "{}"),
            KeySource::key_of_inputs("a", "charge", "{}"),
            KeySource::key_of_inputs("a", "refund", "[]"),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(keys[0].len(), "inputs-".len() + 64);
        assert_eq!(keys[0], KeySource::key_of_inputs("a", "refund", "{}"));
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
    fn an_origin_returns_each_of_its_parts() {
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
    fn every_part_of_a_request_changes_the_fingerprint() {
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
