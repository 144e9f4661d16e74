//! Calls the examples as running programs over HTTP. They refuse a call if and only if its inputs do not fit the
//! schema, and their answers fit the schema of the output.

use std::cell::Cell;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use tests::caller::{self, Answer};
use tests::process::{self, Server};
use tests::services::Postgres;

use crate::{CASES, endpoints, is_exact, runner, texts, validator, values};

/// Inputs that occur in the examples' data. With them, some calls succeed.
fn known() -> Value {
    json!({
        "amount_cents": [1],
        "customer": ["ana@example.com", "acme@example.com"],
        "email": ["ana@example.com", "ben@example.com", "josé@example.com"],
        "order_id": [1001, 1004, 1009],
        "pieces": [1],
        "product": ["cup"],
    })
}

/// The given values, in which inputs are replaced by known ones.
fn with_known(values: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let known = known();
    (values, any::<Index>())
        .prop_map(move |(mut value, which)| {
            for (name, known) in known.as_object().unwrap() {
                if let Some(field) = value.get_mut(name) {
                    field.clone_from(which.get(known.as_array().unwrap()));
                }
            }
            value
        })
        .boxed()
}

/// Calls one endpoint over HTTP. For a GET, all values are strings.
fn call(server: &Server, endpoint: &Value, key: &str, value: &Value) -> Answer {
    let path = endpoint["url"]
        .as_str()
        .unwrap()
        .strip_prefix(caller::PUBLIC_URL)
        .unwrap();
    let answer = if endpoint["method"] == "GET" {
        let pairs = value.as_object().unwrap().iter();
        let pairs: Vec<_> = pairs
            .map(|(name, text)| (name.as_str(), text.as_str().unwrap()))
            .collect();
        caller::get(server.port, path, key, &pairs)
    } else {
        caller::post(server.port, path, key, &value.to_string())
    };
    answer.unwrap()
}

/// Calls one endpoint many times. Only the schema decides whether inputs are valid; valid inputs may still be refused
/// by the handler.
fn hold(server: &Server, endpoint: &Value) {
    let name = endpoint["name"].as_str().unwrap();
    let schema = &endpoint["inputs"];
    let (inputs, outputs) = (validator(schema), validator(&endpoint["outputs"]));
    let is_get = endpoint["method"] == "GET";
    let valid = prop_oneof![values::of(schema), with_known(values::of(schema))].boxed();
    let nearly = values::nearly_of(schema);
    let any = if is_get {
        texts::like(valid, nearly)
    } else {
        prop_oneof![2 => valid, 1 => nearly].boxed()
    };
    let (calls, carried_out, refused) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let count = |counter: &Cell<u32>| counter.set(counter.get() + 1);
    let ran = runner().run(&any, |value| {
        count(&calls);
        let answer = call(server, endpoint, &format!("{name}-{}", calls.get()), &value);
        let meant = if is_get { texts::read(&value, schema) } else { value };
        prop_assume!(is_exact(&meant));
        let kind = answer.json()["type"].as_str().unwrap_or_default().to_owned();
        let is_refused = kind.ends_with(":invalid-input") || kind.ends_with(":malformed-request");
        let is_right = inputs.is_valid(&meant) && meant.is_object();
        prop_assert_eq!(is_refused, !is_right, "{} {}", meant, &answer.body);
        prop_assert!(answer.status < 500, "{} {}", meant, &answer.body);
        if answer.status == 200 {
            prop_assert!(
                outputs.is_valid(&answer.json()),
                "{} is not {}",
                &answer.body,
                endpoint["outputs"]
            );
            count(&carried_out);
        } else if is_refused {
            count(&refused);
        }
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{name}: {error}\n{schema:#}"));
    // Enough calls must be carried out, and enough refused, so that neither part passes without having been tested.
    let (carried_out, refused) = (carried_out.get(), refused.get());
    assert!(
        carried_out.min(refused) > CASES / 10,
        "{name}: {carried_out} calls were carried out and {refused} refused"
    );
}

#[test]
fn the_examples_refuse_what_their_schemas_do_not_allow_and_nothing_else() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    for example in std::fs::read_dir(examples).unwrap() {
        let package = example.unwrap().file_name().into_string().unwrap();
        let program = process::build(&package, "dev");
        let folder = tempfile::tempdir().unwrap();
        let postgres = (package == "billing").then(|| Postgres::start(&[]));
        let server = match &postgres {
            Some(postgres) => Server::start_on(&program, folder.path(), &postgres.url()),
            None => Server::start(&program, folder.path()),
        };
        for endpoint in endpoints(&program) {
            hold(&server, &endpoint);
        }
    }
}
