//! The signed payload: `URL ":" idempotency key ":" timestamp ":" content`. A pure function.

/// Passes everything after `URL ":"` to `sink`. The content is the raw body of a POST, or the parameters of a GET as
/// CPython's `json.dumps` prints them.
pub(super) fn after_url(idempotency_key: &[u8], timestamp: &[u8], content: &[u8], sink: &mut impl FnMut(&[u8])) {
    sink(idempotency_key);
    sink(b":");
    sink(timestamp);
    sink(b":");
    sink(content);
}
