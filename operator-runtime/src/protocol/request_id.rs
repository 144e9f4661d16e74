//! The id of a request, by which the caller and the log name the same request. It is in `X-Request-Id` of the request and
//! of the answer.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use bytes::Bytes;
use http::header::{Entry, OccupiedEntry};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The header of requests and answers.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id of a caller, in characters. It is copied into log lines.
const LONGEST: usize = 128;

/// Gives a request exactly one id, and returns it: the caller's id if it is 1 to 128 visible ASCII characters, otherwise a
/// new one. From then on, [`of`] finds the id in the request's headers.
pub(crate) fn identify(headers: &mut HeaderMap) -> HeaderValue {
    // The entry is looked up once, both to be read and to be written. `try_entry` fails only for a request with
    // about 25,000 headers. The answer to such a request has a new id, which is not in the request's headers.
    let Ok(entry) = headers.try_entry(REQUEST_ID) else {
        return random();
    };
    if let Entry::Occupied(given) = &entry
        && let Some(id) = only_valid(given)
    {
        return id.clone();
    }
    let id = random();
    match entry {
        Entry::Occupied(mut given) => drop(given.insert(id.clone())),
        Entry::Vacant(none) => drop(none.try_insert(id.clone())),
    }
    id
}

/// The id of a request that [`identify`] has given one.
pub(crate) fn of(headers: &HeaderMap) -> &str {
    headers
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default()
}

/// The caller's id. Of two ids, neither is used, because the caller could know the request by either of them.
fn only_valid<'h>(given: &'h OccupiedEntry<'_, HeaderValue>) -> Option<&'h HeaderValue> {
    let mut given = given.iter();
    let id = given.next().filter(|id| is_id(id.as_bytes()));
    id.filter(|_| given.next().is_none())
}

fn is_id(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

/// 128 bits in hexadecimal digits, which no other request has. Nobody gains anything by guessing them, so they are hashes
/// under the random keys that each thread has, which costs no call of the operating system.
fn random() -> HeaderValue {
    let half = || RandomState::new().build_hasher().finish();
    let bytes = ((u128::from(half()) << 64) | u128::from(half())).to_be_bytes();
    let mut digits = [0; 32];
    // This cannot fail, because each byte has two digits.
    let _ = const_hex::encode_to_slice(bytes, &mut digits);
    // The request and the answer share these bytes. Bytes that are copied from a slice would become shared by one more
    // allocation.
    let id = HeaderValue::from_maybe_shared(Bytes::from_owner(digits));
    id.unwrap_or_else(|_| HeaderValue::from_static("0"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{LONGEST, REQUEST_ID, identify, of};

    fn identified(given: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for id in given {
            headers.append(REQUEST_ID, HeaderValue::from_bytes(id).unwrap());
        }
        let id = identify(&mut headers);
        assert_eq!(headers.get_all(REQUEST_ID).iter().collect::<Vec<_>>(), [&id]);
        assert_eq!(of(&headers), id);
        id.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_callers_id_is_kept_if_it_can_be_shown_and_there_is_only_one() {
        let longest = "~".repeat(LONGEST);
        for id in ["7", "refund-1004/a:b\"{}", &longest] {
            assert_eq!(identified(&[id.as_bytes()]), id);
        }
        let too_long = "~".repeat(LONGEST + 1);
        let wrong: [&[&[u8]]; 8] = [
            &[],
            &[b""],
            &[too_long.as_bytes()],
            &["é".as_bytes()],
            &[b"\xff"],
            &[b"a b"],
            &[b"a\tb"],
            &[b"a", b"a"],
        ];
        for given in wrong {
            let id = identified(given);
            let is_new = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_new, "{given:?}: {id}");
        }
        assert_ne!(identified(&[]), identified(&[]));
    }
}
