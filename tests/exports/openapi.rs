//! What the OpenAPI documents say besides schemas: who publishes them, tags, the order of parameters, summaries, and
//! the discriminators of tagged unions.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tests::process;

use crate::{documents, json};

const FORMATS: [&str; 2] = ["openapi", "openapi-3.0"];

fn in_each_format(program: &Path, check: impl Fn(&str, Value)) {
    let folder = documents(program);
    for format in FORMATS {
        check(format, json(&folder.path().join(format!("{format}.json"))));
    }
}

fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    let paths = document["paths"].as_object().unwrap().values();
    paths.flat_map(|methods| methods.as_object().unwrap().values())
}

#[test]
fn a_program_says_who_publishes_it_or_has_a_stable_title() {
    in_each_format(&process::build("support-desk", "dev"), |format, document| {
        let license = match format {
            "openapi" => json!({ "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" }),
            _ => json!({ "name": "MIT OR Apache-2.0" }),
        };
        assert_eq!(
            document["info"],
            json!({
                "title": "support-desk",
                "description": "A shop's support desk on SQLite: orders, refunds, tickets, notifications.",
                "version": env!("CARGO_PKG_VERSION"),
                "license": license,
            })
        );
    });
    in_each_format(&process::build_example("tests", "zoo"), |_, document| {
        assert_eq!(document["info"]["title"], "Endpoints for an AI support agent");
        assert_eq!(document["info"]["version"], "0.0.0");
    });
}

#[test]
fn operations_are_tagged_by_module_or_by_their_option() {
    in_each_format(&process::build_example("tests", "zoo"), |format, document| {
        let used: BTreeSet<&str> = operations(&document)
            .map(|operation| match operation["tags"].as_array().unwrap().as_slice() {
                [tag] => tag.as_str().unwrap(),
                tags => panic!("{tags:?}"),
            })
            .collect();
        let listed: Vec<&str> = document["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| tag["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            listed,
            ["Trees and lists", "corners", "dates", "names", "serde_forms", "shapes"],
            "{format}"
        );
        assert_eq!(used.into_iter().collect::<Vec<_>>(), listed, "{format}");
        assert_eq!(
            document["paths"]["/zoo/tree"]["post"]["tags"],
            json!(["Trees and lists"])
        );
        assert_eq!(
            document["paths"]["/zoo/renamed"]["post"]["tags"],
            json!(["serde_forms"])
        );
    });
}

#[test]
fn parameters_are_in_the_order_of_the_arguments() {
    in_each_format(&process::build_example("tests", "zoo"), |format, document| {
        let names = |path: &str| -> Vec<&str> {
            let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
            parameters.iter().map(|one| one["name"].as_str().unwrap()).collect()
        };
        let figures = ["never_zero", "signed", "wide", "wide_signed", "fraction"];
        assert_eq!(names("/zoo/figures"), figures, "{format}");
        let parameters = names("/zoo/parameters");
        assert_eq!(
            parameters[..6],
            ["flag", "letter", "least_five", "fraction", "three", "text"]
        );
        assert!(
            parameters.len() > 6,
            "the fields of the flattened struct are missing: {parameters:?}"
        );
    });
}

#[test]
fn the_summary_and_the_description_repeat_nothing_and_lose_nothing() {
    let words = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    for program in [
        process::build("support-desk", "dev"),
        process::build_example("tests", "zoo"),
    ] {
        let folder = documents(&program);
        let manifest = json(&folder.path().join("operator.json"));
        for format in FORMATS {
            let document = json(&folder.path().join(format!("{format}.json")));
            for operation in operations(&document) {
                let mut endpoints = manifest["endpoints"].as_array().unwrap().iter();
                let endpoint = endpoints.find(|one| one["name"] == operation["operationId"]).unwrap();
                let summary = operation["summary"].as_str().unwrap();
                let details = operation
                    .get("description")
                    .map_or("", |details| details.as_str().unwrap());
                assert_ne!(operation.get("description"), Some(&json!("")), "{format}: {operation}");
                assert_eq!(
                    words(&format!("{summary}. {details}")),
                    words(endpoint["description"].as_str().unwrap()),
                    "{format}"
                );
            }
        }
    }
}

#[test]
fn each_discriminator_maps_every_tag_to_the_variant_that_has_it() {
    in_each_format(&process::build_example("tests", "zoo"), |format, document| {
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let mut found = BTreeSet::new();
        for (name, schema) in schemas {
            let Some(discriminator) = schema.get("discriminator") else {
                continue;
            };
            found.insert(name.as_str());
            let property = discriminator["propertyName"].as_str().unwrap();
            let mapping = discriminator["mapping"].as_object().unwrap();
            let listed: BTreeSet<&str> = schema["oneOf"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["$ref"].as_str().unwrap())
                .collect();
            let mapped: BTreeSet<&str> = mapping.values().map(|to| to.as_str().unwrap()).collect();
            assert_eq!(mapped, listed, "{format} {name}");
            for (tag, to) in mapping {
                let variant = document
                    .pointer(to.as_str().unwrap().strip_prefix('#').unwrap())
                    .unwrap();
                let value = &variant["properties"][property];
                assert!(
                    value["const"] == **tag || value["enum"] == json!([tag]),
                    "{format} {name}: {variant}"
                );
                assert!(
                    variant["required"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .any(|one| one == property)
                );
            }
        }
        assert!(found.is_superset(&["Adjacent", "Tagged"].into()), "{format}: {found:?}");
        assert!(
            !found.contains("Untagged") && !found.contains("External"),
            "{format}: {found:?}"
        );
    });
}

/// A program in TypeScript that finds the variant by its tag must compile with the generated types.
#[test]
fn typescript_tells_variants_apart_by_their_tag() {
    let program = process::build_example("tests", "zoo");
    let folder = documents(&program);
    for format in FORMATS {
        crate::generate_types(folder.path(), format);
        fs::write(folder.path().join("use_tagged.ts"), include_str!("use_tagged.ts")).unwrap();
        crate::compile_types(folder.path(), Some("use_tagged.ts"));
    }
}
