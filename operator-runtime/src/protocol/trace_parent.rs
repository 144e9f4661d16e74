//! The header `traceparent` (W3C Trace Context), which says to which trace of the caller a call belongs.

use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, HeaderName};

use super::envelope::parse_hex;

/// The header, and the field of `_meta` over MCP.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What the caller's tracing systems say about the trace. It belongs to the `traceparent` of the same request.
#[cfg(feature = "mcp")]
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The length of the parts that every version has: `00-TRACE_ID-PARENT_ID-FLAGS`.
const LENGTH: usize = 55;

/// The trace of a call, as the caller names it in the header `traceparent` or, over MCP, in `_meta.traceparent`
/// ([W3C Trace Context](https://www.w3.org/TR/trace-context-2/#traceparent-header)).
///
/// ```
/// use operator_runtime::TraceParent;
///
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let parent: TraceParent = text.parse().unwrap();
/// assert_eq!(parent.trace_id()[..2], [0x0a, 0xf7]);
/// assert_eq!(parent.parent_id()[..2], [0xb7, 0xad]);
/// assert!(parent.is_sampled());
/// assert_eq!(parent.to_string(), text);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: [u8; 16],
    parent_id: [u8; 8],
    flags: u8,
}

/// A text is not a valid `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "The text is not a traceparent: write `00-`, 32 hexadecimal digits, `-`, 16 hexadecimal digits, `-` and two hexadecimal digits, in lower case, where neither number is zero."
)]
pub struct NotATraceParent;

impl TraceParent {
    /// The trace of a request; `None` if the request names none, more than one, or one that is not valid.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all(TRACEPARENT).iter();
        let parent = given.next()?.to_str().ok()?.parse().ok();
        parent.filter(|_| given.next().is_none())
    }

    /// The id of the trace, which all its spans share. It is not zero.
    #[must_use]
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The id of the caller's span, which is the parent of the call's span. It is not zero.
    #[must_use]
    pub fn parent_id(&self) -> [u8; 8] {
        self.parent_id
    }

    /// The flags. Bit 0 says that the caller records its trace, and bit 1 that the trace id is random. The other bits are
    /// zero, because their meaning is not known yet.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether the caller records its trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The trace id in hexadecimal digits.
    pub(crate) fn trace_id_digits(&self) -> impl fmt::Display + use<> {
        Digits(self.trace_id)
    }

    /// The id of the caller's span in hexadecimal digits.
    pub(crate) fn parent_id_digits(&self) -> impl fmt::Display + use<> {
        Digits(self.parent_id)
    }
}

impl FromStr for TraceParent {
    type Err = NotATraceParent;

    /// Parses the header's value. Of a version after 00, only the parts that version 00 has are read, as the
    /// specification demands.
    fn from_str(text: &str) -> Result<Self, NotATraceParent> {
        parse(text.as_bytes()).ok_or(NotATraceParent)
    }
}

fn parse(text: &[u8]) -> Option<TraceParent> {
    /// Version 00 defines these flags.
    const KNOWN_FLAGS: u8 = 0b11;
    let (known, more) = text.split_at_checked(LENGTH)?;
    let is_lower_case = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let mut parts = known.split(|byte| *byte == b'-');
    let mut next = || parts.next().filter(|part| part.iter().all(is_lower_case));
    let [version] = parse_hex(next()?)?;
    let trace_id = parse_hex(next()?)?;
    let parent_id = parse_hex(next()?)?;
    let [flags] = parse_hex(next()?)?;
    let is_complete = match version {
        0 => more.is_empty(),
        0xff => false,
        _ => more.is_empty() || more.starts_with(b"-"),
    };
    let is_named = trace_id != [0; 16] && parent_id != [0; 8];
    (is_complete && is_named).then_some(TraceParent {
        trace_id,
        parent_id,
        flags: flags & KNOWN_FLAGS,
    })
}

/// The value of the header, in version 00.
impl fmt::Display for TraceParent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace_id, parent_id) = (self.trace_id_digits(), self.parent_id_digits());
        write!(formatter, "00-{trace_id}-{parent_id}-{:02x}", self.flags)
    }
}

struct Digits<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> fmt::Display for Digits<BYTES> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{TRACEPARENT, TraceParent};

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_valid_text_is_read_and_written_unchanged() {
        let parent: TraceParent = VALID.parse().unwrap();
        assert_eq!(parent.to_string(), VALID);
        assert_eq!(parent.trace_id_digits().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(parent.parent_id_digits().to_string(), "b7ad6b7169203331");
        let unsampled: TraceParent = VALID.replace("-01", "-00").parse().unwrap();
        assert!(parent.is_sampled() && !unsampled.is_sampled());
        let unknown_flags: TraceParent = VALID.replace("-01", "-fe").parse().unwrap();
        assert_eq!(unknown_flags.flags(), 0b10);
    }

    #[test]
    fn a_later_version_may_have_more_parts() {
        let known: TraceParent = VALID.parse().unwrap();
        for later in ["01", "cc", "fe"] {
            let text = VALID.replacen("00", later, 1);
            for more in ["", "-", "-what-the-future-brings", "-é"] {
                assert_eq!(format!("{text}{more}").parse(), Ok(known), "{text}{more}");
            }
            assert!(format!("{text}.more").parse::<TraceParent>().is_err());
        }
    }

    #[test]
    fn a_text_that_is_not_exactly_the_form_is_refused() {
        for wrong in [
            "",
            "00",
            "00-",
            &VALID[..54],
            &VALID.to_uppercase(),
            &VALID.replace('-', "_"),
            &VALID.replacen("00", "ff", 1),
            &VALID.replacen("00", "0g", 1),
            &format!("{VALID}-"),
            &format!("{VALID}0"),
            &format!(" {}", &VALID[..54]),
            &VALID.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &VALID.replace("b7ad6b7169203331", &"0".repeat(16)),
            &VALID.replace("0af7", "0aF7"),
            &VALID.replace("0af7", "0xf7"),
            &VALID.replace("-01", "-0G"),
            // The parts have other lengths, but the text has the right one.
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
            "000-af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033310-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331--1",
            "00-0af7651916cd43dd8448eb211c8031é-b7ad6b7169203331-01",
        ] {
            assert!(wrong.parse::<TraceParent>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_request_with_two_traces_or_a_wrong_one_has_none() {
        let of = |given: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in given {
                headers.append(TRACEPARENT, HeaderValue::from_bytes(value).unwrap());
            }
            TraceParent::of(&headers)
        };
        let valid = VALID.as_bytes();
        assert_eq!(of(&[valid]), VALID.parse().ok());
        let wrong: [&[&[u8]]; 5] = [&[], &[b""], &[b"\xff"], &[valid, valid], &[valid, b"wrong"]];
        for none in wrong {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}
