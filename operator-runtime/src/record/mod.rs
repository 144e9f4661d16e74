//! The record of an operation, and its compact binary form for stores.

mod age;
mod audit;
pub(crate) mod operation;

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::StatusCode;

#[cfg(any(feature = "sqlite", feature = "redis"))]
pub(crate) use self::age::at_milliseconds;
pub use self::age::{Ages, FirstSeen, Times};
pub use self::audit::{AuditRow, Audited};
use self::operation::{Fingerprint, Origin};

/// The media type of a value.
pub(crate) const JSON: &str = "application/json";
/// The media type of an error (RFC 9457 §3).
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// A handler's response, byte for byte as sent and as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The HTTP status.
    pub status: StatusCode,
    /// The value of `Content-Type`.
    pub content_type: Cow<'static, str>,
    /// The body; clones share its memory.
    pub body: Bytes,
}

impl Response {
    /// A response with this status, content type and body.
    #[must_use]
    pub fn new(status: StatusCode, content_type: impl Into<Cow<'static, str>>, body: Bytes) -> Self {
        Self {
            status,
            content_type: content_type.into(),
            body,
        }
    }
}

/// What a store remembers of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The fingerprint of the first request.
    pub fingerprint: Fingerprint,
    /// The call that began the operation.
    pub origin: Origin,
    /// The number of the attempt that owns the operation: 1, 2, ….
    pub epoch: u32,
    /// The state of the operation.
    pub state: State,
    /// Who settled an unknown outcome by hand; `None` if nobody has settled it.
    pub settlement: Option<Arc<Settlement>>,
    /// The number under which the operation reserves parts of limits; `None` if its endpoint has no limits. A later
    /// operation with the same id, after this record has expired, has another number.
    pub serial: Option<NonZeroU64>,
    /// Whether the operation gives back what it has reserved of the limits of its endpoint: it has ended with a refusal, and
    /// no attempt has acted. The process may have been killed before it gave anything back, so a retry gives it back
    /// again. Only a completed record with a `serial` has this mark; in any other record, it is not kept.
    pub gives_back: bool,
}

/// A person's decision on an attempt whose outcome was unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settlement {
    /// The person's name.
    pub by: String,
    /// When the person decided, by the clock of the person's machine; stores keep it to the second.
    pub at: SystemTime,
}

impl Settlement {
    /// A decision by the person `by`, made at the time `at`.
    #[must_use]
    pub fn new(by: impl Into<String>, at: SystemTime) -> Self {
        Self { by: by.into(), at }
    }

    /// Whole seconds since 1970-01-01 UTC; 0 for an earlier time.
    pub(crate) fn unix_seconds(&self) -> u64 {
        let since = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_secs()
    }
}

/// The state of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// An attempt is running, or was lost while it ran.
    InProgress,
    /// The last attempt ended without an effect to keep: the next call runs the handler.
    Released,
    /// Ended with this response, which every retry gets.
    Completed(Response),
    /// Ended with a response that was too long to keep.
    NotKept,
    /// It is unknown whether the effect of an attempt happened, and the handler must not run again: the attempt was
    /// lost, panicked or exceeded its time limit, or the handler returned [`Error::unknown`](crate::Error::unknown).
    Unknown,
}

/// Why bytes from a store cannot be read as a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A newer version of this crate wrote the record.
    #[error(
        "the record is in format {found}, and this version of operator-runtime reads formats up to {FORMAT}; run the version that wrote the record"
    )]
    Format {
        /// The format in the record's first byte.
        found: u8,
    },
    /// The record is too short, too long, or has a state that does not exist.
    #[error("the record is damaged; restore the store from a backup or remove this record")]
    Damaged,
}

/// The newest format that [`Record::encode`] writes. Earlier formats can still be read: format 1 has neither origin nor
/// settlement. Format 2 has no serial number, and is still written for records without one, so that an earlier version
/// of this crate can read them. Format 4 is format 3 for a completed record that [gives back](Record::gives_back).
const FORMAT: u8 = GIVES_BACK;
const WITHOUT_SERIAL: u8 = 2;
const WITH_SERIAL: u8 = 3;
const GIVES_BACK: u8 = 4;

pub(crate) const IN_PROGRESS: u8 = 0;
const RELEASED: u8 = 1;
const COMPLETED: u8 = 2;
const NOT_KEPT: u8 = 3;
pub(crate) const UNKNOWN: u8 = 4;

/// A bit in the second byte, next to the state: the record has a settlement. Stores count records by the second byte.
pub(crate) const SETTLED: u8 = 0x80;

impl Record {
    /// The record of the first attempt at a new operation.
    #[must_use]
    pub fn first(fingerprint: Fingerprint, origin: Origin) -> Self {
        Self {
            fingerprint,
            origin,
            epoch: 1,
            state: State::InProgress,
            settlement: None,
            serial: None,
            gives_back: false,
        }
    }

    /// The bytes that a store keeps: format, state, epoch, fingerprint, origin, serial number, settlement, and the
    /// status, content type and body of the response. Numbers are big-endian; each text is preceded by its length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (tag, response) = match &self.state {
            State::InProgress => (IN_PROGRESS, None),
            State::Released => (RELEASED, None),
            State::Completed(response) => (COMPLETED, Some(response)),
            State::NotKept => (NOT_KEPT, None),
            State::Unknown => (UNKNOWN, None),
        };
        let settlement = self.settlement.as_ref();
        // Exact, so that a store that keeps these bytes in memory keeps no spare capacity.
        let length = 38
            + text_length(self.origin.as_text())
            + self.serial.map_or(0, |_| 8)
            + settlement.map_or(0, |settlement| 8 + text_length(&settlement.by))
            + response.map_or(0, |response| {
                2 + text_length(&response.content_type) + response.body.len()
            });
        let mut bytes = Vec::with_capacity(length);
        let settled = if self.settlement.is_some() { SETTLED } else { 0 };
        let format = match self.serial {
            None => WITHOUT_SERIAL,
            Some(_) if self.gives_back && tag == COMPLETED => GIVES_BACK,
            Some(_) => WITH_SERIAL,
        };
        bytes.extend([format, tag | settled]);
        bytes.extend(self.epoch.to_be_bytes());
        bytes.extend(self.fingerprint.as_bytes());
        put_text(&mut bytes, self.origin.as_text());
        if let Some(serial) = self.serial {
            bytes.extend(serial.get().to_be_bytes());
        }
        if let Some(settlement) = settlement {
            bytes.extend(settlement.unix_seconds().to_be_bytes());
            put_text(&mut bytes, &settlement.by);
        }
        if let Some(response) = response {
            bytes.extend(response.status.as_u16().to_be_bytes());
            put_text(&mut bytes, &response.content_type);
            bytes.extend(&response.body);
        }
        bytes
    }

    /// Reads what [`encode`](Self::encode) of this version or an earlier one wrote. The body shares the memory of
    /// `bytes`.
    ///
    /// # Errors
    /// If a later version wrote the record, or the record is damaged.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the body of the record keeps the memory of the bytes"
    )]
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        Self::read(&bytes, |body| bytes.slice_ref(body))
    }

    /// Like [`decode`](Self::decode), but the bytes remain where they are, and the body is copied.
    pub(crate) fn decode_copy(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::read(bytes, Bytes::copy_from_slice)
    }

    fn read(mut bytes: &[u8], body: impl FnOnce(&[u8]) -> Bytes) -> Result<Self, DecodeError> {
        let [format] = take(&mut bytes)?;
        if !(1..=FORMAT).contains(&format) {
            return Err(DecodeError::Format { found: format });
        }
        let [tag] = take(&mut bytes)?;
        let epoch = u32::from_be_bytes(take(&mut bytes)?);
        let fingerprint = Fingerprint::from_bytes(take(&mut bytes)?);
        let origin = match format {
            1 => Origin::default(),
            _ => Origin::from_text(take_text(&mut bytes)?),
        };
        let serial = match format {
            ..=WITHOUT_SERIAL => None,
            _ => Some(
                u64::from_be_bytes(take(&mut bytes)?)
                    .try_into()
                    .map_err(|_| DecodeError::Damaged)?,
            ),
        };
        let settlement = match format {
            1 => None,
            _ => take_settlement(tag, &mut bytes)?.map(Arc::new),
        };
        let state = match if format == 1 { tag } else { tag & !SETTLED } {
            COMPLETED => State::Completed(read_response(bytes, body)?),
            _ if !bytes.is_empty() || format == GIVES_BACK => return Err(DecodeError::Damaged),
            IN_PROGRESS => State::InProgress,
            RELEASED => State::Released,
            NOT_KEPT => State::NotKept,
            UNKNOWN => State::Unknown,
            _ => return Err(DecodeError::Damaged),
        };
        Ok(Self {
            fingerprint,
            origin,
            epoch,
            state,
            settlement,
            serial,
            gives_back: format == GIVES_BACK,
        })
    }
}

fn take_settlement(tag: u8, bytes: &mut &[u8]) -> Result<Option<Settlement>, DecodeError> {
    if tag & SETTLED == 0 {
        return Ok(None);
    }
    let seconds = Duration::from_secs(u64::from_be_bytes(take(bytes)?));
    Ok(Some(Settlement {
        at: UNIX_EPOCH.checked_add(seconds).ok_or(DecodeError::Damaged)?,
        by: take_text(bytes)?.to_owned(),
    }))
}

fn read_response(mut bytes: &[u8], body: impl FnOnce(&[u8]) -> Bytes) -> Result<Response, DecodeError> {
    let status = StatusCode::from_u16(u16::from_be_bytes(take(&mut bytes)?));
    let content_type = take_text(&mut bytes)?;
    Ok(Response {
        status: status.map_err(|_| DecodeError::Damaged)?,
        content_type: content_type_of(content_type),
        body: body(bytes),
    })
}

/// A content type of this crate's answers is not copied.
fn content_type_of(text: &str) -> Cow<'static, str> {
    let ours = [JSON, PROBLEM_JSON];
    let ours = ours.into_iter().find(|content_type| *content_type == text);
    ours.map_or_else(|| Cow::Owned(text.to_owned()), Cow::Borrowed)
}

fn text_length(text: &str) -> usize {
    8 + text.len()
}

/// The length always fits into `u64`, because no text is as long as 2⁶⁴ bytes.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_be_bytes());
    bytes.extend(text.as_bytes());
}

fn take_text<'b>(bytes: &mut &'b [u8]) -> Result<&'b str, DecodeError> {
    let length = usize::try_from(u64::from_be_bytes(take(bytes)?)).map_err(|_| DecodeError::Damaged)?;
    let text = bytes.split_off(..length).ok_or(DecodeError::Damaged)?;
    str::from_utf8(text).map_err(|_| DecodeError::Damaged)
}

fn take<const LENGTH: usize>(bytes: &mut &[u8]) -> Result<[u8; LENGTH], DecodeError> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(DecodeError::Damaged)?;
    *bytes = rest;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records() -> Vec<Record> {
        let response = Response {
            status: StatusCode::CREATED,
            content_type: "application/json".into(),
            body: Bytes::from_static(b"{\"a\":1}"),
        };
        [
            State::InProgress,
            State::Released,
            State::Completed(response),
            State::NotKept,
            State::Unknown,
        ]
        .map(|state| Record {
            fingerprint: Fingerprint::new("POST", "/", "", b""),
            origin: Origin::new("refund", "key", "tenant"),
            epoch: 7,
            state,
            settlement: None,
            serial: None,
            gives_back: false,
        })
        .into_iter()
        .flat_map(|record| {
            let settlement = Settlement {
                by: "ana".to_owned(),
                at: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            };
            let settled = Record {
                settlement: Some(Arc::new(settlement)),
                ..record.clone()
            };
            let limited = Record {
                serial: NonZeroU64::new(1 << 40),
                ..settled.clone()
            };
            let giving_back = Record {
                gives_back: matches!(limited.state, State::Completed(_)),
                ..limited.clone()
            };
            [record, settled, limited, giving_back]
        })
        .collect()
    }

    /// Bytes as the previous version wrote them, with the fingerprint and epoch of `records()`.
    fn in_format_1(tag: u8, response: &[u8]) -> Bytes {
        let fingerprint = records()[0].fingerprint;
        [&[1, tag, 0, 0, 0, 7], &fingerprint.as_bytes()[..], response]
            .concat()
            .into()
    }

    #[test]
    fn every_state_is_read_back_as_it_was_written() {
        for record in records() {
            let bytes = record.encode();
            assert_eq!(bytes.capacity(), bytes.len(), "{record:?}");
            assert_eq!(Record::decode(bytes.into()), Ok(record));
        }
    }

    #[test]
    fn format_1_is_read_with_an_empty_origin_and_no_settlement() {
        let answer = b"\x00\xc9\0\0\0\0\0\0\0\x0aapplication/json"; // The length cuts the content type short.
        let completed = Record::decode(in_format_1(COMPLETED, answer)).expect("a record");
        assert_eq!((completed.origin, completed.settlement), (Origin::default(), None));
        let State::Completed(response) = completed.state else {
            panic!("not completed")
        };
        assert_eq!(
            (response.status, &*response.content_type, &response.body[..]),
            (StatusCode::CREATED, "applicatio", &b"n/json"[..])
        );
        let unknown = Record::decode(in_format_1(UNKNOWN, b"")).expect("a record");
        assert_eq!((unknown.epoch, unknown.state), (7, State::Unknown));
    }

    #[test]
    fn a_record_that_is_cut_short_is_damaged_and_does_not_panic() {
        for record in records() {
            let body = match &record.state {
                State::Completed(response) => response.body.len(),
                _ => 0,
            };
            let bytes = Bytes::from(record.encode());
            for length in 0..bytes.len() - body {
                assert_eq!(
                    Record::decode(bytes.slice(..length)),
                    Err(DecodeError::Damaged),
                    "{length} bytes of {record:?}"
                );
            }
        }
    }

    #[test]
    fn a_status_and_a_time_that_cannot_be_are_damage() {
        let status = |status: u16| in_format_1(COMPLETED, &[&status.to_be_bytes()[..], &[0; 8]].concat());
        assert!(Record::decode(status(200)).is_ok());
        assert_eq!(Record::decode(status(99)), Err(DecodeError::Damaged));
        let settled = records()
            .into_iter()
            .find(|record| record.settlement.is_some())
            .unwrap();
        let mut bytes = settled.encode();
        let at = bytes
            .windows(8)
            .position(|eight| eight == 1_700_000_000_u64.to_be_bytes())
            .unwrap();
        bytes[at..at + 8].fill(0xff);
        assert_eq!(Record::decode(bytes.into()), Err(DecodeError::Damaged));
    }

    #[test]
    fn only_a_completed_record_gives_back() {
        for record in records().into_iter().filter(|record| record.serial.is_some()) {
            let is_completed = matches!(record.state, State::Completed(_));
            let mut bytes = record.encode();
            bytes[0] = GIVES_BACK;
            let gives_back = Record::decode(bytes.into()).map(|record| record.gives_back);
            let expected = if is_completed {
                Ok(true)
            } else {
                Err(DecodeError::Damaged)
            };
            assert_eq!(gives_back, expected);
        }
    }

    #[test]
    fn a_record_of_a_newer_format_is_refused() {
        let mut bytes = records()[0].encode();
        bytes[0] = 9;
        assert_eq!(Record::decode(bytes.into()), Err(DecodeError::Format { found: 9 }));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_panic(bytes in prop::collection::vec(any::<u8>(), 36..120), tail in prop::collection::vec(any::<u8>(), 0..40), state in 0_u8..6, settled in any::<bool>()) {
            let tag = if settled { state | SETTLED } else { state };
            // In format 1, any bytes may follow. In format 2, a length precedes each text. Random lengths would almost
            // never be valid, so the test sets the lengths.
            let mut framed = vec![1, tag];
            framed.extend(&bytes);
            let _ = Record::decode(framed.into());
            let mut framed = vec![WITHOUT_SERIAL, tag];
            framed.extend(&bytes[..36]);
            framed.extend([0; 8]);
            framed.extend(if settled { &[0; 16][..] } else { &[] });
            framed.extend(&tail);
            let _ = Record::decode(bytes.into());
            if let Ok(record) = Record::decode(framed.clone().into()) {
                prop_assert_eq!(record.encode(), framed);
            }
        }
    }
}
