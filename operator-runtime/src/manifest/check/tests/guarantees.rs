//! Tests of changed effects, keys and statuses of problems.

use serde_json::json;

use super::{Contract, changes, said};
use crate::manifest::Format;

/// A document of one endpoint with this effect, which answers a problem with this status.
fn guaranteeing(format: Format, effect: &str, status: &str) -> Contract {
    promising(format, effect, status, None)
}

/// A document of one endpoint with this effect and this key, which answers a problem with this status.
fn promising(format: Format, effect: &str, status: &str, key: Option<&[&str]>) -> Contract {
    let number: u16 = status.parse().unwrap();
    let mut guarantees = json!({ "effect": effect, "problems": { "not-found": [number] } });
    if let Some(key) = key {
        guarantees["key"] = json!(key);
    }
    let document = match format {
        Format::Operator => {
            let endpoint = json!({
                "name": "find", "description": "", "url": "https://a.example/find", "method": "POST",
                "inputs": {}, "outputs": {},
            });
            json!({ "endpoints": [endpoint], "guarantees": { "find": guarantees } })
        }
        Format::Mcp => {
            json!({ "tools": [{ "name": "find", "_meta": { "operator-runtime/guarantees": guarantees } }] })
        }
        Format::OpenApi | Format::OpenApi30 => {
            let schema = json!({ "properties": { "type": { "enum": ["urn:operator:problem:not-found"] } } });
            let response = json!({ "content": { "application/problem+json": { "schema": schema } } });
            let mut operation = json!({
                "operationId": "find", "x-operator-effect": effect, "responses": { status: response },
            });
            if let Some(key) = key {
                operation["x-operator-key"] = json!(key);
            }
            let version = if format == Format::OpenApi { "3.1.0" } else { "3.0.3" };
            json!({ "openapi": version, "paths": { "/find": { "post": operation } } })
        }
    };
    Contract::read(format, &document.to_string()).unwrap()
}

#[test]
fn a_weaker_effect_and_a_changed_status_break_callers_in_every_format() {
    for format in Format::ALL {
        let of = |effect: &str, status: &str| guaranteeing(format, effect, status);
        let told = |before: &Contract, after: &Contract| said(before, after).remove(0);
        assert_eq!(changes(&of("at_most_once", "404"), &of("at_most_once", "404")), []);
        for (before, after, told_as) in [
            (
                "at_most_once",
                "rerunnable",
                "rely on one call having at most one effect",
            ),
            (
                "transactional",
                "at_most_once",
                "rely on one call having exactly one effect",
            ),
            (
                "transactional",
                "rerunnable",
                "rely on one call having exactly one effect",
            ),
            (
                "read_only",
                "transactional",
                "call it without asking a person, because it changed nothing",
            ),
        ] {
            let told = told(&of(before, "404"), &of(after, "404"));
            assert!(
                told.ends_with(&format!("this breaks callers that {told_as}")),
                "{format:?}: {told}"
            );
            let back = said(&of(after, "404"), &of(before, "404"));
            assert!(back.iter().all(|told| !told.contains("breaks")), "{back:?}");
            assert_eq!(back.len(), 1, "{back:?}");
        }
        assert_eq!(
            told(&of("read_only", "404"), &of("read_only", "410")),
            "`find` now answers `not-found` with status 410 instead of 404: this breaks callers that expect 404"
        );
    }
}

#[test]
fn another_key_breaks_callers_without_an_idempotency_key_in_every_format() {
    for format in Format::ALL {
        let with = |key: Option<&[&str]>| promising(format, "at_most_once", "404", key);
        let (none, one, two) = (with(None), with(Some(&["a"])), with(Some(&["a", "b"])));
        assert_eq!(changes(&two, &with(Some(&["b", "a"]))), [], "the order says nothing");
        let callers = "this breaks callers that send no idempotency key";
        assert_eq!(
            said(&one, &none),
            [format!("`find` no longer has the key `a`: {callers}")]
        );
        assert_eq!(
            said(&one, &two),
            [format!("`find` now has the key `a`, `b`; it was `a`: {callers}")]
        );
        assert_eq!(
            said(&none, &one),
            ["`find` now has the key `a`, for callers without an idempotency key"]
        );
    }
}
