//! What a reader of any kind needs from a published schema, held on every document of the zoo and of the support desk.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Value, json};
use tests::caller::PUBLIC_URL;
use tests::process;

const FORMATS: [&str; 4] = ["operator", "openapi", "openapi-3.0", "mcp"];

fn document(program: &Path, format: &str) -> Value {
    serde_json::from_str(&process::run(program, &["manifest", "--format", format])).unwrap()
}

/// Calls `see` with each value in the document and its path.
fn visit(value: &Value, path: &str, see: &mut dyn FnMut(&str, &Value)) {
    see(path, value);
    let inside: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, one)| (name.clone(), one)).collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, one)| (index.to_string(), one))
            .collect(),
        _ => Vec::new(),
    };
    for (name, one) in inside {
        visit(one, &format!("{path}/{name}"), see);
    }
}

/// The documents of both programs in each format. The tests share them, because each is the output of a process.
static DOCUMENTS: LazyLock<Vec<(&str, Value)>> = LazyLock::new(|| {
    let programs = [
        process::build("support-desk", "dev"),
        process::build_example("tests", "zoo"),
    ];
    let each = |program: &PathBuf| FORMATS.map(|format| (format, document(program, format)));
    programs.iter().flat_map(each).collect()
});

fn every_document(mut see: impl FnMut(&str, &Value)) {
    for (format, document) in &*DOCUMENTS {
        see(format, document);
    }
}

#[test]
fn no_schema_is_the_value_true() {
    every_document(|format, document| {
        visit(document, "", &mut |path, value| {
            let schemas = match path.rsplit('/').next() {
                Some("properties" | "patternProperties" | "$defs" | "schemas") => {
                    value.as_object().into_iter().flatten()
                }
                _ => return,
            };
            for (name, schema) in schemas {
                assert!(schema.is_object(), "{format}: {path}/{name} is {schema}");
            }
        });
        visit(document, "", &mut |path, value| {
            if path.ends_with("/items") || path.ends_with("/additionalProperties") {
                assert_ne!(value, &json!(true), "{format}: {path}");
            }
        });
    });
}

#[test]
fn no_bound_is_beyond_the_numbers_that_every_reader_represents_exactly() {
    let mut bounds = 0;
    every_document(|format, document| {
        visit(document, "", &mut |path, value| {
            let last = path.rsplit('/').next().unwrap();
            if ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"].contains(&last) {
                bounds += 1;
                let bound = value.as_f64().unwrap_or_default();
                assert!(bound.abs() <= 9_007_199_254_740_991.0, "{format}: {path} is {value}");
            }
        });
    });
    assert!(bounds > 100, "{bounds}");
}

#[test]
fn formats_of_number_types_are_in_openapi_only() {
    let mut of_numbers = BTreeSet::new();
    every_document(|format, document| {
        visit(document, "", &mut |path, value| {
            let Some(named) = value.as_str().filter(|_| path.ends_with("/format")) else {
                return;
            };
            let is_of_a_number = named.contains("int") || ["double", "float"].contains(&named);
            if is_of_a_number {
                of_numbers.insert((format.to_owned(), named.to_owned()));
            }
            if !format.starts_with("openapi") {
                let known = [
                    "date",
                    "date-time",
                    "duration",
                    "email",
                    "ipv4",
                    "ipv6",
                    "time",
                    "uri",
                    "uuid",
                ];
                assert!(known.contains(&named), "{format}: {path} is {named}");
            }
        });
    });
    let of_uint64: Vec<&str> = of_numbers
        .iter()
        .filter(|(_, named)| named == "uint64")
        .map(|(format, _)| &**format)
        .collect();
    assert_eq!(of_uint64, ["openapi", "openapi-3.0"]);
}

#[test]
fn a_choice_is_one_list_whose_description_has_the_words_of_each_variant() {
    let zoo = process::build_example("tests", "zoo");
    let documents = FORMATS.map(|format| document(&zoo, format));
    let inputs = |document: &Value, list: &str, schema: &str| {
        let all = document[list].as_array().unwrap().iter();
        all.clone().find(|one| one["name"] == "parameters").unwrap()[schema]["properties"]["three"].clone()
    };
    let expected = json!({
        "description": "One of three choices.\n\n- `one`: The first.\n- `two`: The second.\n- `three`: The third. Deprecated.",
        "enum": ["one", "two", "three"],
        "type": "string",
    });
    assert_eq!(inputs(&documents[0], "endpoints", "inputs"), expected);
    assert_eq!(inputs(&documents[3], "tools", "inputSchema"), expected);
    assert_eq!(documents[1]["components"]["schemas"]["Which"], expected);
    assert_eq!(documents[2]["components"]["schemas"]["Which"], expected);
    every_document(|format, document| {
        visit(document, "", &mut |path, value| {
            let forms = value["oneOf"].as_array();
            let only_texts = |forms: &Vec<Value>| {
                forms
                    .iter()
                    .all(|form| form["type"] == "string" && form.get("const").is_some())
            };
            assert!(!forms.is_some_and(only_texts), "{format}: {path}");
        });
    });
}

#[test]
fn a_tuple_says_that_no_item_follows() {
    let mut tuples = 0;
    every_document(|format, document| {
        visit(document, "", &mut |path, value| {
            if let Some(items) = value["prefixItems"].as_array() {
                tuples += 1;
                let nothing = if format == "openapi" {
                    json!({ "not": {} })
                } else {
                    json!(false)
                };
                assert_eq!(value["items"], nothing, "{format}: {path}");
                assert_eq!(value["maxItems"], items.len(), "{format}: {path}");
            }
        });
    });
    assert!(tuples > 10, "{tuples}");
}

#[test]
fn a_type_has_one_name_in_all_documents_and_every_reference_leads_somewhere() {
    let zoo = process::build_example("tests", "zoo");
    let mut named = Vec::new();
    for format in FORMATS {
        let document = document(&zoo, format);
        let mut names = BTreeSet::new();
        visit(&document, "", &mut |path, value| {
            if path.ends_with("/$defs") || path == "/components/schemas" {
                names.extend(value.as_object().into_iter().flatten().map(|(name, _)| name.clone()));
            }
            let Some(reference) = value.as_str().filter(|_| path.ends_with("/$ref")) else {
                return;
            };
            let pointer = reference.strip_prefix('#').unwrap();
            // In the formats of tools, a reference leads to the schema that contains it.
            let roots = (0..path.len())
                .filter(|end| path.as_bytes()[*end] == b'/')
                .map(|end| &path[..end]);
            let found = roots
                .filter_map(|root| document.pointer(root)?.pointer(pointer))
                .count();
            assert!(found > 0, "{format}: {path} refers to {reference}");
        });
        for name in &names {
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
            assert!(name.chars().all(is_plain), "{format}: {name}");
        }
        named.push(names);
    }
    let openapi = &named[1];
    for name in [
        "Gr_e",
        "InvoicesItem",
        "OrdersItem",
        "InvoicesPage_Item",
        "OrdersPage_Item",
        "NamesProblem",
        "Problem",
    ] {
        assert!(openapi.contains(name), "{name} is not in {openapi:?}");
    }
    assert!(!openapi.iter().any(|name| name.ends_with("Item2")), "{openapi:?}");
    assert_eq!(openapi, &named[2]);
    for tools in [&named[0], &named[3]] {
        assert!(tools.is_subset(openapi), "{:?}", tools.difference(openapi));
        assert!(tools.contains("Gr_e"), "{tools:?}");
    }
}

/// The keywords that limit a value and that a reader may not know, in the schema and in the types that it refers to.
fn rules(schema: &Value, types: &Value, found: &mut BTreeSet<String>) {
    const RULES: [&str; 22] = [
        "contains",
        "dependentRequired",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "if",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "not",
        "pattern",
        "patternProperties",
        "prefixItems",
        "propertyNames",
        "required",
        "uniqueItems",
    ];
    visit(schema, "", &mut |path, value| {
        let keyword = path.rsplit('/').next().unwrap();
        if RULES.contains(&keyword) && !path.ends_with(&format!("/properties/{keyword}")) {
            found.insert(format!("{keyword} {value}"));
        }
        // A recursive type is seen once.
        if let Some(name) = value["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/"))
            && found.insert(format!("$ref {name}"))
        {
            rules(&types[name], types, found);
        }
    });
}

/// How the words for a rule begin.
const WORDS: [(&str, &str); 6] = [
    ("exclusiveMaximum", "Less than "),
    ("exclusiveMinimum", "Greater than "),
    ("format", "Format: "),
    ("multipleOf", "A multiple of "),
    ("not", "Not "),
    ("uniqueItems", "No item may occur twice."),
];

/// Whether a report is about a part of the input, or about a type that the input refers to.
fn is_about(line: &str, tool: &str, input: &str, rules: &BTreeSet<String>) -> bool {
    let Some(place) = line.strip_prefix(&format!("{tool}: input ")) else {
        return false;
    };
    match place.strip_prefix("(type ").and_then(|rest| rest.split_once(')')) {
        Some((of, _)) => rules.contains(&format!("$ref {of}")),
        None => place
            .strip_prefix(input)
            .is_some_and(|rest| rest.starts_with([':', '.', '['])),
    }
}

/// Whether a report tells that the keyword is lost: it names the keyword, or it is about everything in the value.
fn tells(line: &str, keyword: &str) -> bool {
    let whole = ["one of several forms", "is a tuple", "is a map"];
    line.contains(&format!("(`{keyword}`)")) || whole.iter().any(|whole| line.contains(whole))
}

#[test]
fn no_reader_loses_a_rule_without_words_or_a_report() {
    let zoo = process::build_example("tests", "zoo");
    let usual = document(&zoo, "mcp");
    let (mut said, mut told) = (0, 0);
    for reader in ["openai", "anthropic", "gemini", "copilot"] {
        let written = Command::new(&zoo)
            .args(["manifest", "--for", reader])
            .env("OPERATOR_PUBLIC_URL", PUBLIC_URL)
            .output()
            .unwrap();
        let reports = String::from_utf8(written.stderr).unwrap();
        let fitted: Value = serde_json::from_slice(&written.stdout).unwrap();
        for tool in fitted["tools"].as_array().unwrap() {
            let name = tool["name"].as_str().unwrap();
            let all = usual["tools"].as_array().unwrap();
            let before = &all.iter().find(|one| one["name"] == name).unwrap()["inputSchema"];
            for (input, schema) in before["properties"].as_object().unwrap() {
                let (mut rules_before, mut rules_after) = (BTreeSet::new(), BTreeSet::new());
                rules(schema, &before["$defs"], &mut rules_before);
                let after = &tool["inputSchema"]["properties"][input];
                rules(after, &tool["inputSchema"]["$defs"], &mut rules_after);
                let reports: Vec<_> = reports
                    .lines()
                    .filter(|line| is_about(line, name, input, &rules_before))
                    .collect();
                for rule in rules_before.difference(&rules_after) {
                    let keyword = rule.split(' ').next().unwrap();
                    let words = WORDS.iter().find(|(of, _)| *of == keyword);
                    let is_said = words.is_some_and(|(_, words)| after.to_string().contains(words));
                    let is_told = reports.iter().any(|line| tells(line, keyword));
                    assert!(
                        is_said || is_told || keyword == "$ref",
                        "{reader}: {name}: {input} loses {rule}: {after}\n{reports:#?}"
                    );
                    said += usize::from(is_said);
                    told += usize::from(is_told && !is_said);
                }
            }
        }
    }
    assert!(said > 20 && told > 20, "{said} are said, {told} are told");
}
