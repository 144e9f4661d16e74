//! The headers of the protocol, found in one pass and parsed into types.

use http::{HeaderMap, HeaderValue};

use super::refusal::Refusal;

/// The values of the three headers of a call, which are not verified yet.
#[derive(Debug)]
pub(super) struct Envelope<'h> {
    pub(super) idempotency_key: &'h HeaderValue,
    pub(super) timestamp: u64,
    pub(super) timestamp_text: &'h HeaderValue,
    pub(super) signature: [u8; 32],
}

/// The headers that verification reads, as they were received.
#[derive(Default)]
pub(super) struct Headers<'h> {
    idempotency_key: Header<'h>,
    timestamp: Header<'h>,
    signature: Header<'h>,
    pub(super) content_type: Header<'h>,
    /// Whether there is a `Content-Encoding` other than `identity`.
    pub(super) encoded: bool,
}

/// A header that is missing, given once, or given more than once.
#[derive(Clone, Copy, Default)]
pub(super) enum Header<'h> {
    #[default]
    Missing,
    Once(&'h HeaderValue),
    Twice,
}

impl<'h> Headers<'h> {
    pub(super) fn find(headers: &'h HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "x-idempotency-key" => found.idempotency_key.add(value),
                "x-timestamp" => found.timestamp.add(value),
                "x-signature" => found.signature.add(value),
                "content-type" => found.content_type.add(value),
                "content-encoding" => found.encoded |= !value.as_bytes().eq_ignore_ascii_case(b"identity"),
                _ => {}
            }
        }
        found
    }
}

impl<'h> Header<'h> {
    fn add(&mut self, value: &'h HeaderValue) {
        *self = match self {
            Self::Missing => Self::Once(value),
            Self::Once(_) | Self::Twice => Self::Twice,
        };
    }

    fn exactly_one(self, shown: &'static str) -> Result<&'h HeaderValue, Refusal> {
        match self {
            Self::Missing => Err(Refusal::HeaderMissing(shown)),
            Self::Once(value) => Ok(value),
            Self::Twice => Err(Refusal::HeaderTwice(shown)),
        }
    }
}

impl<'h> Envelope<'h> {
    pub(super) fn parse(headers: &Headers<'h>) -> Result<Self, Refusal> {
        let idempotency_key = headers.idempotency_key.exactly_one("X-Idempotency-Key")?;
        let timestamp_text = headers.timestamp.exactly_one("X-Timestamp")?;
        let timestamp = parse_timestamp(timestamp_text.as_bytes()).ok_or(Refusal::Timestamp)?;
        let signature = headers.signature.exactly_one("X-Signature")?;
        let signature = parse_hex(signature.as_bytes()).ok_or(Refusal::SignatureShape)?;
        Ok(Self {
            idempotency_key,
            timestamp,
            timestamp_text,
            signature,
        })
    }

    pub(super) fn idempotency_key_is_valid(&self) -> bool {
        is_idempotency_key(self.idempotency_key.as_bytes())
    }
}

/// Whether a key is 1–255 visible ASCII characters without `:`. With a colon in the key, two different calls could have
/// the same payload.
pub(crate) fn is_idempotency_key(key: &[u8]) -> bool {
    // The check has no early exit, so that the compiler can check many bytes at a time.
    let allowed = |all: bool, byte: &u8| all & byte.is_ascii_graphic() & (*byte != b':');
    (1..=255).contains(&key.len()) && key.iter().fold(true, allowed)
}

/// Parses 1–15 ASCII digits, which always fit into a `u64`.
fn parse_timestamp(text: &[u8]) -> Option<u64> {
    let digits = (1..=15).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    digits.then(|| {
        text.iter()
            .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    })
}

/// Parses exactly 64 hexadecimal digits. The length is checked first, because the decoder would accept a prefix `0x`.
pub(crate) fn parse_hex(text: &[u8]) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.try_into().ok()?;
    const_hex::decode_to_array(digits).ok()
}
