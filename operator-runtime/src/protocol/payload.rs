//! The signed bytes: `URL ":" idempotency key ":" timestamp ":" content`. Pure.

/// Feeds everything after `URL ":"` to `sink`. The content is a POST's raw body, or a GET's parameters as CPython's
/// `json.dumps` prints them.
pub(super) fn after_url(idempotency_key: &[u8], timestamp: &[u8], content: &[u8], sink: &mut impl FnMut(&[u8])) {
    sink(idempotency_key);
    sink(b":");
    sink(timestamp);
    sink(b":");
    sink(content);
}
