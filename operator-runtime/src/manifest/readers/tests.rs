//! Tests of the documents for one reader: they have nothing that the reader refuses, and everything else.

mod documents;

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use schemars::{Schema, json_schema};
use serde_json::{Map, Value, json};

use super::{Form, Misfit, Place, READERS, Reader, document, shape};
use crate::endpoint::Endpoint;
use crate::idempotency::effect::Effect;
use crate::input::{Input, JsonInput, SearchInput};
use crate::manifest::Format;
use crate::manifest::lint::tests::endpoint;
use crate::manifest::lint::{self, For};
use crate::manifest::model::Model;
use crate::protocol::method::Method;
use crate::protocol::public_url::PublicUrl;

const GOOD: &str = "Finds an order by what a customer says about it. Use it when a customer has no number.";

fn model(endpoints: Vec<Endpoint>) -> Model {
    let endpoints: Vec<&'static Endpoint> = endpoints.into_iter().map(|one| &*Box::leak(Box::new(one))).collect();
    Model::new(&endpoints, &PublicUrl::parse("https://a.example").unwrap())
}

fn reader(name: &str) -> &'static Reader {
    Reader::named(name).unwrap()
}

fn written(endpoints: Vec<Endpoint>, name: &str) -> (Value, Vec<Misfit>) {
    let (text, misfits) = document(&model(endpoints), reader(name)).unwrap();
    (serde_json::from_str(&text).unwrap(), misfits)
}

fn one_input(schema: fn() -> Schema) -> Endpoint {
    let input = Input {
        schema,
        ..<String as JsonInput>::INPUT.named("about", "What the customer says.")
    };
    Endpoint {
        inputs: Vec::leak(vec![input]),
        ..endpoint("find_order", GOOD)
    }
}

/// The schema of the input `about` in the reader's document, and what the reader does not accept.
fn fitted(schema: fn() -> Schema, name: &str) -> (Value, Vec<String>) {
    let (mut document, misfits) = written(vec![one_input(schema)], name);
    let about = document["tools"][0]["inputSchema"]["properties"]["about"].take();
    (about, misfits.iter().map(Misfit::to_string).collect())
}

fn tagged() -> Value {
    json!([
        { "description": "By number.", "type": "object", "required": ["kind", "number"],
          "properties": { "kind": { "type": "string", "const": "number" }, "number": { "type": ["integer", "null"], "minimum": 1 } } },
        { "description": "By day.", "type": "object", "required": ["kind"],
          "properties": { "kind": { "type": "string", "const": "day" }, "day": { "type": "string", "format": "date" } } },
    ])
}

/// Schemas with each form that a reader may refuse, alone and inside others.
const SCHEMAS: [fn() -> Schema; 12] = [
    || json_schema!({ "oneOf": tagged() }),
    || json_schema!({ "type": "array", "items": { "type": "array", "items": { "oneOf": tagged() } } }),
    || json_schema!({ "anyOf": [{ "$ref": "#/$defs/Choice" }, { "type": "null" }], "$defs": { "Choice": { "oneOf": tagged() } } }),
    || json_schema!({ "type": "array", "prefixItems": [{ "type": "integer" }, { "oneOf": tagged() }], "items": false }),
    || json_schema!({ "type": "array", "prefixItems": [{ "type": "integer" }, { "type": "integer" }], "minItems": 2, "maxItems": 2 }),
    || json_schema!({ "type": ["string", "integer", "null"], "minLength": 2, "minimum": 1, "enum": ["ab", 7, null] }),
    || json_schema!({ "allOf": [{ "oneOf": tagged() }, { "allOf": [{ "type": "object", "properties": { "a": true } }] }], "type": "object" }),
    || json_schema!({ "type": "object", "additionalProperties": { "oneOf": tagged() } }),
    || json_schema!({ "type": "object", "patternProperties": { "^[0-9]+$": { "const": 1 } }, "additionalProperties": false }),
    || json_schema!({ "oneOf": [{ "const": "a", "description": "First." }, { "enum": ["b", "c"] }] }),
    || json_schema!({ "oneOf": [{ "type": "string" }, { "type": "object", "properties": {}, "oneOf": tagged() }], "anyOf": [{ "minLength": 1 }, true] }),
    || json_schema!({ "type": "array", "items": true }),
];

/// The first form or keyword in a schema that the reader refuses.
fn refused(schema: &Value, reader: &Reader) -> Option<String> {
    let object = schema.as_object()?;
    let named = [
        ("$ref", Form::Reference),
        ("oneOf", Form::OneOf),
        ("anyOf", Form::AnyOf),
        ("allOf", Form::AllOf),
        ("const", Form::Const),
        ("prefixItems", Form::Tuple),
    ];
    let form = named
        .iter()
        .find(|(keyword, form)| reader.refuses(*form) && object.contains_key(*keyword));
    if let Some((keyword, _)) = form {
        return Some((*keyword).to_owned());
    }
    if reader.refuses(Form::TypeList) && schema["type"].is_array() {
        return Some("type".to_owned());
    }
    let values = schema["enum"].as_array();
    if reader.refuses(Form::NumberEnum) && values.is_some_and(|values| !values.iter().all(Value::is_string)) {
        return Some("enum".to_owned());
    }
    if reader.refuses(Form::Tuple) && schema["type"] == "array" && !schema["items"].is_object() {
        return Some("no items".to_owned());
    }
    if let (Some(known), Some(format)) = (reader.text_formats, schema["format"].as_str())
        && !known.contains(&format)
    {
        return Some(format!("format {format}"));
    }
    let known = |keyword: &String| reader.keywords.is_none_or(|known| known.contains(&keyword.as_str()));
    if let Some(keyword) = object.keys().find(|keyword| !known(keyword)) {
        return Some(keyword.clone());
    }
    crate::schema::walk::children(schema)
        .into_iter()
        .find_map(|child| refused(child, reader))
}

#[test]
fn no_document_has_a_form_that_its_reader_refuses() {
    for reader in READERS.iter().filter(|reader| reader.format == Format::Mcp) {
        for (index, schema) in SCHEMAS.into_iter().enumerate() {
            let (document, _) = written(vec![one_input(schema)], reader.name);
            let inputs = &document["tools"][0]["inputSchema"];
            assert_eq!(refused(inputs, reader), None, "{} {index}: {inputs:#}", reader.name);
            assert!(
                jsonschema::meta::is_valid(inputs),
                "{} {index}: {inputs:#}",
                reader.name
            );
        }
    }
}

/// Any schema, with forms inside forms and forms beside each other.
fn any_schema() -> impl Strategy<Value = Value> {
    const TYPES: [&str; 5] = ["string", "integer", "array", "object", "null"];
    let leaf = prop_oneof![
        Just(json!(true)),
        select(TYPES.as_slice()).prop_map(|one| json!({ "type": one })),
        subsequence(TYPES.to_vec(), 1..4).prop_map(|list| json!({ "type": list, "minLength": 1, "format": "email" })),
        Just(json!({ "const": 7 })),
        Just(json!({ "enum": ["a", null, 1], "default": null })),
    ];
    leaf.prop_recursive(4, 40, 3, |inner| {
        const KEYWORDS: [&str; 4] = ["oneOf", "anyOf", "allOf", "prefixItems"];
        let list =
            (select(KEYWORDS.as_slice()), vec(inner.clone(), 1..4)).prop_map(|(keyword, all)| json!({ keyword: all }));
        let single = (select(["items", "additionalProperties"].to_vec()), inner.clone());
        let single = single.prop_map(|(keyword, one)| json!({ keyword: one, "type": "array" }));
        let fields = vec(inner, 1..3)
            .prop_map(|all| json!({ "properties": { "a": all[0], "b": all.last() }, "required": ["a"] }));
        vec(prop_oneof![list, single, fields], 1..4).prop_map(|parts| {
            let all = parts.into_iter().filter_map(|part| part.as_object().cloned()).flatten();
            all.collect::<Map<_, _>>().into()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_schema_keeps_a_refused_form(schema in any_schema()) {
        for reader in &READERS {
            let mut fitted = schema.clone();
            shape::fit(reader, &mut fitted);
            prop_assert_eq!(refused(&fitted, reader), None, "{}: {}", reader.name, fitted);
            prop_assert!(jsonschema::meta::is_valid(&fitted), "{}: {}", reader.name, fitted);
        }
    }
}

#[test]
fn a_document_without_such_forms_is_the_usual_one() {
    let usual = model(vec![one_input(SCHEMAS[0])]);
    let (text, misfits) = document(&usual, reader("anthropic")).unwrap();
    assert_eq!(text, Format::Mcp.write(&usual).unwrap());
    assert_eq!(misfits, []);
    let plain = || json_schema!({ "type": "string", "minLength": 2 });
    for reader in READERS.iter().filter(|reader| reader.format == Format::Mcp) {
        let (about, misfits) = fitted(plain, reader.name);
        assert_eq!(
            about,
            json!({ "type": "string", "minLength": 2, "description": "What the customer says." })
        );
        assert_eq!(misfits, Vec::<String>::new(), "{}", reader.name);
    }
}

#[test]
fn a_union_keeps_its_forms_where_the_reader_can_say_them() {
    let (about, misfits) = fitted(SCHEMAS[1], "openai");
    assert_eq!(about["items"]["items"], json!({ "anyOf": tagged() }));
    assert_eq!(
        misfits,
        [
            "find_order: input about[][]: The value has one of several forms (`oneOf`), which OpenAI does not accept; the document has `anyOf`."
        ]
    );
    let (about, misfits) = fitted(SCHEMAS[1], "copilot");
    assert_eq!(
        about["items"]["items"],
        json!({
            "type": "object",
            "description": "- By number.\n- By day.",
            "properties": {
                "kind": { "type": "string", "enum": ["number", "day"] },
                "number": { "type": "integer", "minimum": 1 },
                "day": { "type": "string", "format": "date" },
            },
            "required": ["kind"],
        })
    );
    assert_eq!(misfits.len(), 1, "{misfits:?}");
    assert!(misfits[0].ends_with("the document has one object with the fields of all forms."));
}

/// The fields of a tagged struct are in `allOf`, because both the variant and the struct have `properties`.
#[test]
fn a_form_that_combines_schemas_keeps_all_fields_where_there_are_no_unions() {
    let schema = || {
        json_schema!({ "oneOf": [
            { "type": "object", "properties": { "kind": { "const": "inner" } }, "required": ["kind"],
              "allOf": [{ "type": "object", "properties": { "first_name": { "type": "string" } } }] },
            { "type": "object", "properties": { "kind": { "const": "other" } }, "required": ["kind"],
              "oneOf": [
                { "type": "object", "properties": { "by": { "const": "day" }, "day": { "type": "string" } } },
                { "type": "object", "properties": { "by": { "const": "week" }, "week": { "type": "integer" } } },
              ] },
        ] })
    };
    let (about, misfits) = fitted(schema, "copilot");
    let fields: Vec<&String> = about["properties"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["by", "day", "first_name", "kind", "week"], "{about:#}");
    assert_eq!(about["properties"]["kind"]["enum"], json!(["inner", "other"]));
    assert_eq!(about["properties"]["by"]["enum"], json!(["day", "week"]));
    assert_eq!(about["required"], json!(["kind"]));
    assert_eq!(misfits.len(), 1, "{misfits:?}");
}

#[test]
fn forms_of_one_type_become_that_type_where_there_are_no_unions() {
    let (about, misfits) = fitted(
        || json_schema!({ "type": "string", "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }] }),
        "copilot",
    );
    assert_eq!(
        about,
        json!({ "type": "string", "description": "What the customer says." })
    );
    assert!(
        misfits[0].ends_with("the document has the type of the forms, without their rules."),
        "{misfits:?}"
    );
    let (about, _) = fitted(
        || json_schema!({ "type": "array", "prefixItems": [{ "type": "integer", "maximum": 255 }, { "type": "integer" }], "minItems": 2, "maxItems": 2 }),
        "copilot",
    );
    assert_eq!(about["items"], json!({ "type": "integer" }));
    let (about, misfits) = fitted(
        || json_schema!({ "anyOf": [{ "type": "integer" }, { "type": "string" }] }),
        "copilot",
    );
    assert_eq!(about["type"], "integer");
    assert!(
        misfits[0].ends_with("the document has only the first form."),
        "{misfits:?}"
    );
}

#[test]
fn what_a_reader_cannot_read_is_said_in_the_description() {
    let schema = || {
        json_schema!({
            "type": ["string", "null"], "format": "email", "default": null, "examples": ["ana@example.com"], "title": "Who",
        })
    };
    let (about, misfits) = fitted(schema, "gemini");
    assert_eq!(
        about,
        json!({
            "type": "string",
            "title": "Who",
            "description": "What the customer says. Format: email. Such as \"ana@example.com\".",
        })
    );
    assert_eq!(misfits, Vec::<String>::new());
    let (about, _) = fitted(
        || json_schema!({ "type": "integer", "format": "uint8", "exclusiveMinimum": 0, "multipleOf": 5, "enum": [5, 10], "default": 5 }),
        "gemini",
    );
    assert_eq!(
        about["description"],
        "What the customer says. One of 5, 10. If it is left out, it is 5. Greater than 0. A multiple of 5."
    );
    let (about, _) = fitted(SCHEMAS[9], "openai");
    assert_eq!(
        about,
        json!({ "type": "string", "enum": ["a", "b", "c"], "description": "What the customer says.\n\n- `a`: First." })
    );
}

/// A value of any type with one rule each. Another rule of each kind is stricter.
fn rules() -> Vec<(&'static str, Value)> {
    vec![
        ("const", json!(7)),
        ("contains", json!({ "const": 7 })),
        ("dependentRequired", json!({ "a": ["b"] })),
        ("dependentSchemas", json!({ "a": { "required": ["b"] } })),
        ("enum", json!(["a", "b"])),
        ("exclusiveMaximum", json!(9)),
        ("exclusiveMinimum", json!(1)),
        ("format", json!("ipv4")),
        ("if", json!({ "required": ["a"] })),
        ("maxItems", json!(3)),
        ("maxLength", json!(3)),
        ("maxProperties", json!(3)),
        ("maximum", json!(3)),
        ("minItems", json!(3)),
        ("minLength", json!(3)),
        ("minProperties", json!(3)),
        ("minimum", json!(3)),
        ("multipleOf", json!(3)),
        ("not", json!({ "type": "integer", "const": 0 })),
        ("not", json!({ "enum": [0, "a"] })),
        ("not", json!({ "required": ["a"] })),
        ("pattern", json!("^a")),
        ("patternProperties", json!({ "^a": { "type": "integer" } })),
        ("prefixItems", json!([{ "type": "integer" }])),
        ("propertyNames", json!({ "pattern": "^a" })),
        ("required", json!(["a"])),
        ("uniqueItems", json!(true)),
    ]
}

/// Each rule alone, in `allOf`, and beside a null that is taken out.
#[test]
fn no_rule_is_left_out_without_words_or_a_report() {
    for reader in &READERS {
        for (keyword, rule) in rules() {
            let alone = json!({ keyword: rule });
            for schema in [
                alone.clone(),
                json!({ "allOf": [alone] }),
                json!({ "anyOf": [alone, { "type": "null" }] }),
            ] {
                let mut fitted = json!({ "properties": { "a": schema } });
                let found = shape::fit(reader, &mut fitted);
                let written = fitted.to_string();
                let is_kept = written.contains(&rule.to_string()) && written.contains(&format!("\"{keyword}\""));
                let is_said = written.contains("\"description\"") || written.contains("\"enum\"");
                assert!(
                    is_kept || is_said || !found.is_empty(),
                    "{}: {schema} → {fitted}",
                    reader.name
                );
            }
        }
    }
}

#[test]
fn of_two_rules_one_stays_and_the_other_is_told_if_it_is_not_weaker() {
    let schema = || json_schema!({ "allOf": [{ "type": "string", "minLength": 2, "pattern": "a" }, { "minLength": 3, "pattern": "b" }] });
    for name in ["openai", "gemini", "copilot"] {
        let (about, misfits) = fitted(schema, name);
        assert_eq!(
            (&about["minLength"], &about["pattern"]),
            (&json!(3), &json!("a")),
            "{name}"
        );
        let [told] = misfits.as_slice() else {
            panic!("{name}: {misfits:?}");
        };
        assert!(
            told.contains("Two rules of one kind (`pattern`) apply to the value"),
            "{told}"
        );
    }
}

#[test]
fn a_value_that_is_refused_is_named_and_other_rules_are_told() {
    let (about, misfits) = fitted(|| json_schema!({ "type": "integer", "not": { "const": 0 } }), "gemini");
    assert_eq!(about["description"], "What the customer says. Not 0.");
    assert_eq!(misfits, Vec::<String>::new());
    let (_, misfits) = fitted(
        || json_schema!({ "type": "object", "propertyNames": { "pattern": "^a" }, "properties": {} }),
        "gemini",
    );
    assert_eq!(
        misfits,
        [
            "find_order: input about: The value has a rule (`propertyNames`), which Gemini does not accept; the document does not have the rule."
        ]
    );
}

#[test]
fn a_recursive_type_leaves_its_tool_out_where_types_have_no_names() {
    let schema = || {
        json_schema!({ "$ref": "#/$defs/Reply", "$defs": { "Reply": { "type": "object", "properties": {
            "replies": { "type": "array", "items": { "$ref": "#/$defs/Reply" } },
            "by": { "oneOf": tagged() },
        } } } })
    };
    for name in ["gemini", "copilot"] {
        let (document, misfits) = written(vec![one_input(schema), endpoint("other", GOOD)], name);
        assert_eq!(document["tools"].as_array().unwrap().len(), 1, "{name}");
        assert_eq!(document["tools"][0]["name"], "other");
        assert!(
            misfits[0]
                .to_string()
                .contains("The type `Reply` of the inputs contains itself")
        );
    }
    let (document, misfits) = written(vec![one_input(schema)], "openai");
    assert_eq!(refused(&document["tools"][0]["inputSchema"], reader("openai")), None);
    assert!(
        misfits[0]
            .to_string()
            .starts_with("find_order: input (type Reply).by: "),
        "{misfits:?}"
    );
}
