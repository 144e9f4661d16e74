//! Schemas held to what decoding does, both ways and through the door: a call is carried out if and only if its inputs
//! are what the schema describes, and what comes back is what the other schema describes.

#![allow(clippy::unwrap_used, reason = "a test: what cannot be unwrapped fails it")]

#[path = "zoo/dates.rs"]
mod dates;
#[path = "zoo/serde_forms.rs"]
mod serde_forms;
#[path = "zoo/shapes.rs"]
mod shapes;
mod values;

use std::cell::Cell;
use std::path::Path;

use jsonschema::{Draft, PatternOptions, Validator};
use operator_runtime::App;
use operator_runtime::testing::Client;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use tests::caller;
use tests::process::{self, Server};

/// Values of each kind an endpoint is called with.
const CASES: u32 = 200;

fn validator(schema: &Value) -> Validator {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .unwrap()
}

/// What a program says of its endpoints.
fn endpoints(program: &Path) -> Vec<Value> {
    let mut manifest: Value = serde_json::from_str(&process::run(program, &["manifest"])).unwrap();
    match manifest["endpoints"].take() {
        Value::Array(endpoints) => endpoints,
        other => panic!("{other}"),
    }
}

/// The same values each time.
fn runner() -> TestRunner {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        max_global_rejects: 100_000,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[test]
fn a_call_is_carried_out_if_and_only_if_its_schema_allows_it() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let client = runtime.block_on(Client::new(App::new())).unwrap();
    for endpoint in endpoints(&process::build_example("tests", "zoo")) {
        let name = endpoint["name"].as_str().unwrap();
        let (inputs, outputs) = (validator(&endpoint["inputs"]), validator(&endpoint["outputs"]));
        let carried_out = Cell::new(0);
        let is_get = endpoint["method"] == "GET";
        let valid = values::of(&endpoint["inputs"]);
        // A GET has no types on the wire, so that a value of another type may be the same text.
        let any = if is_get {
            valid
        } else {
            prop_oneof![valid, values::nearly_of(&endpoint["inputs"])].boxed()
        };
        let mut runner = runner();
        let ran = runner.run(&any, |value| {
            let answer = runtime.block_on(client.call(name, &value));
            let expected = inputs.is_valid(&value) && value.is_object();
            prop_assert_eq!(answer.status == 200, expected, "{}", &answer.body);
            prop_assert!(answer.status == 200 || answer.status == 400, "{}", answer.body);
            if answer.status == 200 {
                prop_assert!(
                    outputs.is_valid(&answer.body),
                    "{} is not {}",
                    answer.body,
                    endpoint["outputs"]
                );
            }
            carried_out.set(carried_out.get() + u32::from(expected));
            Ok(())
        });
        ran.unwrap_or_else(|error| panic!("{name}: {error}\n{:#}", endpoint["inputs"]));
        assert!(
            carried_out.get() > CASES / 4,
            "{name}: only {} calls were carried out",
            carried_out.get()
        );
    }
}

/// Whether a call is carried out is for their handlers to say; whether its inputs are right is for the schema.
#[test]
fn the_examples_refuse_what_their_schemas_do_not_allow_and_nothing_else() {
    for package in ["quickstart", "support-desk"] {
        let program = process::build(package, "dev");
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&program, folder.path());
        // The caller of these tests writes no search parameters of every kind.
        for endpoint in endpoints(&program).iter().filter(|one| one["method"] == "POST") {
            let name = endpoint["name"].as_str().unwrap();
            let path = endpoint["url"]
                .as_str()
                .unwrap()
                .strip_prefix(caller::PUBLIC_URL)
                .unwrap();
            let (inputs, outputs) = (validator(&endpoint["inputs"]), validator(&endpoint["outputs"]));
            let calls = Cell::new(0);
            let any = prop_oneof![values::of(&endpoint["inputs"]), values::nearly_of(&endpoint["inputs"])];
            let ran = runner().run(&any, |value| {
                calls.set(calls.get() + 1);
                let key = format!("{name}-{}", calls.get());
                let answer = caller::post(server.port, path, &key, &value.to_string()).unwrap();
                let kind = answer.json()["type"].as_str().unwrap_or_default().to_owned();
                let is_refused = kind.ends_with(":invalid-input") || kind.ends_with(":malformed-request");
                let is_right = inputs.is_valid(&value) && value.is_object();
                prop_assert_eq!(is_refused, !is_right, "{} {}", value, &answer.body);
                prop_assert!(answer.status < 500, "{}", &answer.body);
                prop_assert!(
                    answer.status != 200 || outputs.is_valid(&answer.json()),
                    "{}",
                    &answer.body
                );
                Ok(())
            });
            ran.unwrap_or_else(|error| panic!("{name}: {error}\n{:#}", endpoint["inputs"]));
        }
    }
}
