//! Fuzzes headers and the envelope. The first line is `GET` or `POST`, with or without `?` and a query. Each further
//! line up to an empty line is a header. The rest is the body.
//!
//! The header value `NOW` stands for the time of the call, and `SIGNED` for the right signature, so that the code after
//! the verification is reached as well.

#![no_main]

use bytes::Bytes;
use fuzz_targets::{Zoo, canonical, now, request, signature, within_limits, within_url};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    fuzz_targets::mutate(data, size, most, seed)
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (head, body) = halves(data, b"\n\n");
    let (first, head) = halves(head, b"\n");
    let (method, query) = halves(first, b"?");
    let (method, path) = if method == b"GET" {
        (Method::GET, "/zoo/old")
    } else {
        (Method::POST, "/zoo/tree")
    };
    let query = within_url(query);
    let target = if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    };
    let mut headers = headers(head);
    let content = if method == Method::GET {
        Bytes::from(canonical(&query))
    } else {
        Bytes::copy_from_slice(body)
    };
    sign(&mut headers, path, &content);
    let zoo = Zoo::get();
    let request = request(method, &target, headers, Bytes::copy_from_slice(body));
    within_limits(data.len(), || drop(zoo.answer(request.clone())));
});

/// Splits the data at the first separator. The second part is empty if there is no separator.
fn halves<'d>(data: &'d [u8], separator: &[u8]) -> (&'d [u8], &'d [u8]) {
    match data.windows(separator.len()).position(|window| window == separator) {
        Some(at) => (&data[..at], &data[at + separator.len()..]),
        None => (data, b""),
    }
}

fn headers(head: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n') {
        let (name, value) = halves(line, b":");
        let value = match value.trim_ascii() {
            b"NOW" => Ok(HeaderValue::from(now())),
            value => HeaderValue::from_bytes(value),
        };
        // The map accepts at most 32,768 headers. hyper accepts far fewer.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value) {
            let _ = headers.try_append(name, value);
        }
    }
    headers
}

/// Replaces `SIGNED` by the right signature.
fn sign(headers: &mut HeaderMap, path: &str, content: &[u8]) {
    let part = |name: &str| {
        headers
            .get(name)
            .map(|value| value.as_bytes().to_vec())
            .unwrap_or_default()
    };
    let right = signature(path, &part("x-idempotency-key"), &part("x-timestamp"), content);
    if let Some(value) = headers
        .get_mut("x-signature")
        .filter(|value| value.as_bytes() == b"SIGNED")
    {
        *value = HeaderValue::try_from(right).expect("hexadecimal digits");
    }
}
