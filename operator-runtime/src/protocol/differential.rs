//! Differential tests against CPython: thousands of random parameter maps and raw queries must give the same bytes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderValue};
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::credentials::BoundCredentials;
use super::request::Unverified;
use super::signature::{Keys, content_of_parameters};
use crate::protocol::method::Method;

const CASES: usize = 4_000;
const URL: &str = "https://api.example.com/orders";
const KEY: &str = "op_sk_test";

/// Runs `reference.py`, which prints one line for each line of input.
fn oracle(verb: &str, lines: &[String]) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/reference.py");
    let mut python = Command::new("python3")
        .args([script, verb])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test compares with python3, which must be installed (Debian: apt-get install python3)");
    let mut stdin = python.stdin.take().unwrap();
    let input = lines.join("\n") + "\n";
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = python.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), lines.len());
    text.lines().map(str::to_owned).collect()
}

fn samples<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..CASES)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}

/// Any Unicode text. It often contains separators and characters that have to be escaped.
fn text() -> impl Strategy<Value = String> {
    let letter = proptest::prop_oneof![
        proptest::char::any(),
        proptest::char::range('\0', '\u{a0}'),
        proptest::sample::select(vec![
            '"',
            '\\',
            '/',
            '&',
            '=',
            ';',
            '%',
            '+',
            ':',
            ',',
            ' ',
            '{',
            '\u{7f}',
            '\u{2028}',
            '\u{ffff}',
            '\u{10000}',
            '😀'
        ]),
    ];
    proptest::collection::vec(letter, 0..8).prop_map(|letters| letters.into_iter().collect())
}

#[test]
fn parameter_maps_are_printed_as_cpython_prints_them() {
    let maps: Vec<BTreeMap<String, String>> = samples(proptest::collection::btree_map(text(), text(), 0..7));
    let pairs: Vec<Vec<(String, String)>> = maps.into_iter().map(|map| map.into_iter().rev().collect()).collect();
    let lines: Vec<String> = pairs
        .iter()
        .map(|pairs| serde_json::to_string(pairs).unwrap())
        .collect();
    for (pairs, line) in pairs.iter().zip(oracle("content", &lines)) {
        let expected: String = serde_json::from_str(&line).unwrap();
        assert_eq!(content_of_parameters(pairs), expected, "{pairs:?}");
    }
}

#[test]
fn raw_queries_are_read_as_cpython_reads_them() {
    let piece = proptest::sample::select(vec![
        "a",
        "b",
        "c1",
        "é",
        "=",
        "=",
        "&",
        "&",
        "&&",
        "+",
        ";",
        "%20",
        "%2B",
        "%26",
        "%3D",
        "%c3%a9",
        "%F0%9F%98%80",
        "%",
        "%z",
        "%2",
        "%7F",
        "%00",
        "/",
        "?",
        ":",
        "'",
    ]);
    let queries: Vec<String> = samples(proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()));
    // CPython prints an error instead of a signature for queries that are not UTF-8; `wire/receiver` tests those.
    let utf8 = |query: &String| percent_encoding::percent_decode_str(query).decode_utf8().is_ok();
    let queries: Vec<String> = queries.into_iter().filter(utf8).collect();
    let lines: Vec<String> = queries
        .iter()
        .map(|query| {
            json!({ "method": "GET", "url": URL, "key": KEY, "idempotency_key": "k", "timestamp": "1700000000", "query": query })
                .to_string()
        })
        .collect();
    let keys = Keys::single("the test", KEY).unwrap();
    let credentials = BoundCredentials::of_keys(&keys, URL);
    let mut accepted = 0;
    for (query, signature) in queries.iter().zip(oracle("sign", &lines)) {
        let mut headers = HeaderMap::new();
        headers.insert("x-idempotency-key", HeaderValue::from_static("k"));
        headers.insert("x-timestamp", HeaderValue::from_static("1700000000"));
        headers.insert("x-signature", HeaderValue::from_str(&signature).unwrap());
        let verified = Unverified::parse(Method::Get, Some(query), &headers, Bytes::new(), credentials.accepted())
            .and_then(|unverified| {
                unverified
                    .verify(&credentials, &Extensions::new(), 1_700_000_000)
                    .map_err(|refused| refused.why)
            });
        match verified {
            Ok(_) => accepted += 1,
            // A repeated parameter is reported only if the signature is valid, so the signature was valid.
            Err(refusal) => assert_eq!(
                refusal.to_string(),
                super::request::Refusal::Mistake(super::request::Mistake::ParameterTwice).to_string(),
                "{query:?}"
            ),
        }
    }
    assert!(accepted > CASES / 4, "{accepted} of {CASES}");
}
