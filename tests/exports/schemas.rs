//! Schemas and decoding agree. A call is carried out if and only if its inputs fit the schema of the inputs, and its
//! answer fits the schema of the output. Tested through the public interface.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[path = "zoo/corners.rs"]
mod corners;
#[path = "zoo/dates.rs"]
mod dates;
mod examples;
#[path = "zoo/names.rs"]
mod names;
#[path = "zoo/recursive.rs"]
mod recursive;
#[path = "zoo/serde_forms.rs"]
mod serde_forms;
#[path = "zoo/shapes.rs"]
mod shapes;
mod texts;
mod values;

use std::cell::Cell;
use std::path::Path;

use jsonschema::{Draft, PatternOptions, Validator};
use operator_runtime::App;
use operator_runtime::testing::Client;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use tests::process;

/// For each endpoint, how many calls are made with each kind of values.
const CASES: u32 = 200;

fn validator(schema: &Value) -> Validator {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .with_format("email", is_international_email)
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .unwrap()
}

/// Whether an e-mail address is valid, if its non-ASCII characters count as letters (RFC 6531 §3.3). The validator
/// itself accepts only ASCII addresses.
fn is_international_email(text: &str) -> bool {
    let in_ascii: String = text
        .chars()
        .map(|character| if character.is_ascii() { character } else { 'x' })
        .collect();
    let email = json!({ "type": "string", "format": "email" });
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&email)
        .unwrap();
    validator.is_valid(&json!(in_ascii))
}

/// Returns the endpoints in the program's manifest.
fn endpoints(program: &Path) -> Vec<Value> {
    let mut manifest: Value = serde_json::from_str(&process::run(program, &["manifest"])).unwrap();
    match manifest["endpoints"].take() {
        Value::Array(endpoints) => endpoints,
        other => panic!("{other}"),
    }
}

/// Whether every number in the value is one that every reader represents exactly. The bounds of wider types are not
/// published, so a schema does not say whether a larger number is accepted. It also does not say that a decimal number,
/// which is a text, has at most 28 digits in all.
fn is_exact(value: &Value) -> bool {
    match value {
        #[allow(clippy::cast_precision_loss, reason = "the limit is exact")]
        Value::Number(number) => number
            .as_f64()
            .is_some_and(|number| number.abs() <= values::LARGEST as f64),
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(fields) => fields.values().all(is_exact),
        Value::String(text) => {
            let is_decimal = text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
            !is_decimal || text.bytes().filter(u8::is_ascii_digit).count() <= 28
        }
        Value::Null | Value::Bool(_) => true,
    }
}

/// A test runner that always starts from the same seed.
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
        let (valid, nearly) = (values::of(&endpoint["inputs"]), values::nearly_of(&endpoint["inputs"]));
        let any = if is_get {
            texts::like(valid, nearly)
        } else {
            prop_oneof![valid, nearly].boxed()
        };
        let ran = runner().run(&any, |value| {
            let answer = runtime.block_on(client.call(name, &value));
            let meant = if is_get {
                texts::read(&value, &endpoint["inputs"])
            } else {
                value
            };
            prop_assume!(is_exact(&meant));
            let expected = inputs.is_valid(&meant) && meant.is_object();
            prop_assert_eq!(answer.status == 200, expected, "{} {}", meant, &answer.body);
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
