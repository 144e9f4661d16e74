//! Tests of the documents for one reader: they have nothing that the reader refuses, and everything else.

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
use crate::manifest::lint::tests::endpoint;
use crate::manifest::lint::{self, For};
use crate::manifest::model::Model;
use crate::manifest::{Format, to_text};
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
            "find_order: input about[][]: The value has one of several forms (`oneOf`), which OpenAI does not accept: the document has `anyOf`."
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
        || json_schema!({ "type": "array", "prefixItems": [{ "type": "integer", "maximum": 255 }, { "type": "integer" }] }),
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

#[test]
fn a_long_name_is_never_shortened_because_the_server_would_not_know_it() {
    let long = |last: char| -> &'static str { format!("{}{last}", "a".repeat(63)).leak() };
    let endpoints = || {
        vec![
            endpoint(long('b'), GOOD),
            endpoint(long('c'), GOOD),
            endpoint("find_order", GOOD),
        ]
    };
    let (document, misfits) = written(endpoints(), "gemini");
    assert_eq!(document["tools"].as_array().unwrap().len(), 1);
    assert_eq!(misfits.len(), 2);
    assert!(
        misfits[0]
            .to_string()
            .contains("The name has 64 characters, but Gemini accepts at most 63")
    );
    assert!(
        misfits[0]
            .to_string()
            .ends_with("the document does not have the endpoint.")
    );
    let (document, misfits) = written(endpoints(), "openai");
    assert_eq!((document["tools"].as_array().unwrap().len(), misfits.len()), (3, 0));
}

#[test]
fn inputs_whose_names_are_refused_are_left_out_if_they_are_optional() {
    let of = |name: &'static str, optional: bool| {
        let input = <String as JsonInput>::INPUT.named(name, "What the customer says.");
        let input = if optional { input.default(|| "".into()) } else { input };
        Endpoint {
            inputs: Vec::leak(vec![input]),
            ..endpoint("find_order", GOOD)
        }
    };
    let long: &'static str = "a".repeat(65).leak();
    for (name, reader, is_accepted) in [
        ("last-name", "anthropic", true),
        ("last-name", "gemini", false),
        ("2nd", "anthropic", true),
        ("2nd", "gemini", false),
        ("größe", "anthropic", false),
        ("filter[id]", "anthropic", false),
        (long, "anthropic", false),
        (long, "gemini", false),
        ("größe", "openai", true),
    ] {
        let (document, misfits) = written(vec![of(name, true)], reader);
        let properties = document["tools"][0]["inputSchema"]["properties"].as_object().unwrap();
        assert_eq!(properties.contains_key(name), is_accepted, "{name} {reader}");
        assert_eq!(misfits.is_empty(), is_accepted, "{name} {reader}");
        let (document, _) = written(vec![of(name, false)], reader);
        assert_eq!(
            document["tools"].as_array().unwrap().len() == 1,
            is_accepted,
            "{name} {reader}"
        );
    }
}

#[test]
fn of_two_hundred_tools_the_first_are_kept_and_the_others_named() {
    let endpoints = || {
        (0..200)
            .map(|number| endpoint(format!("find_{number:03}").leak(), GOOD))
            .collect()
    };
    for name in ["openai", "gemini", "copilot"] {
        let (document, misfits) = written(endpoints(), name);
        assert_eq!(document["tools"].as_array().unwrap().len(), 128);
        assert_eq!(misfits.len(), 1);
        assert_eq!(misfits[0].place, Place::App);
        let said = misfits[0].to_string();
        assert!(
            said.starts_with("There are 200 tools, but ") && said.contains(" find_128, find_129,"),
            "{said}"
        );
        assert!(said.ends_with("find_199.") && !said.contains("find_127"), "{said}");
    }
    let (document, misfits) = written(endpoints(), "anthropic");
    assert_eq!((document["tools"].as_array().unwrap().len(), misfits.len()), (200, 0));
}

#[test]
fn long_descriptions_are_cut_between_characters() {
    let long: &'static str = format!("Finds an order. {}", "größe 😀 ".repeat(200)).leak();
    let unbroken: &'static str = "😀".repeat(1000).leak();
    for (description, cut) in [(long, "Finds an order."), (unbroken, "😀")] {
        let (document, misfits) = written(vec![endpoint("find_order", description)], "openai");
        let short = document["tools"][0]["description"].as_str().unwrap();
        assert!(
            short.encode_utf16().count() <= 1024 && short.starts_with(cut),
            "{short}"
        );
        assert!(!short.contains('\u{fffd}'));
        assert!(
            misfits[0]
                .to_string()
                .contains("but OpenAI accepts at most 1024: the document has its first")
        );
    }
    let exact: &'static str = format!("{}.", "x".repeat(1023)).leak();
    assert_eq!(written(vec![endpoint("find_order", exact)], "openai").1, []);
}

#[test]
fn the_openapi_document_for_gpt_actions_keeps_within_its_limits() {
    let details: &'static str = format!("Finds an order. {}", "Use it when one asks. ".repeat(40)).leak();
    let about: &'static str = "Some words. ".repeat(90).leak();
    let post = Endpoint {
        path: "/post",
        inputs: Vec::leak(vec![<String as JsonInput>::INPUT.named("about", about)]),
        ..endpoint("post_order", details)
    };
    let get = Endpoint {
        method: Method::Get,
        effect: Effect::ReadOnly,
        path: "/get",
        inputs: Vec::leak(vec![<String as SearchInput>::INPUT.named("about", about)]),
        ..endpoint("get_order", details)
    };
    let (document, misfits) = written(vec![post, get], "gpt-actions");
    let [get, post] = [&document["paths"]["/get"]["get"], &document["paths"]["/post"]["post"]];
    for operation in [get, post] {
        let description = operation["description"].as_str().unwrap();
        assert!(
            (200..=300).contains(&description.len()) && description.ends_with("asks."),
            "{description}"
        );
    }
    let body = &post["requestBody"]["content"]["application/json"]["schema"]["properties"]["about"];
    for input in [&get["parameters"][0], body] {
        let description = input["description"].as_str().unwrap();
        assert!((600..=700).contains(&description.len()), "{description}");
    }
    assert_eq!(get["x-openai-isConsequential"], false);
    assert_eq!(post["x-openai-isConsequential"], true);
    assert!(document.get("security").is_none() && document["components"].get("securitySchemes").is_none());
    let said: Vec<String> = misfits.iter().map(Misfit::to_string).collect();
    assert_eq!(said.len(), 5, "{said:#?}");
    assert!(
        said.iter()
            .any(|one| one.starts_with("get_order: input about: The description has "))
    );
    assert!(
        said.iter()
            .any(|one| one.starts_with("GPT Actions sends no headers of its own"))
    );
}

#[test]
fn every_reader_takes_an_app_without_endpoints() {
    for reader in &READERS {
        let (text, _) = document(&model(Vec::new()), reader).unwrap();
        assert_eq!(
            text,
            to_text(&serde_json::from_str::<Value>(&text).unwrap())
                .map(|_| text.clone())
                .unwrap()
        );
    }
}

fn findings(endpoints: Vec<Endpoint>, name: &str) -> Vec<String> {
    let of = For {
        reader: reader(name),
        handler_timeout: Duration::from_secs(60),
    };
    let found = lint::findings(&model(endpoints), Some(of)).unwrap();
    let of_reader = found.iter().filter(|finding| finding.lint.name == "unfit_for_reader");
    of_reader.map(ToString::to_string).collect()
}

#[test]
fn lint_says_what_to_write_for_a_reader() {
    let found = findings(vec![one_input(SCHEMAS[1])], "openai");
    assert_eq!(found.len(), 1, "{found:?}");
    let lines: Vec<&str> = found[0].lines().collect();
    assert_eq!(
        lines[0],
        "warning[unfit_for_reader]: find_order: input about[][]: The value has one of several forms (`oneOf`), which OpenAI does not accept"
    );
    assert!(
        lines[1].starts_with("  at ") && lines[2].starts_with("  better: Give each form"),
        "{lines:?}"
    );
    let found = findings(vec![one_input(SCHEMAS[3])], "copilot");
    assert_eq!(found.len(), 2, "{found:?}");
    let twice = || json_schema!({ "allOf": [{ "$ref": "#/$defs/A" }], "type": "array", "prefixItems": [true], "$defs": { "A": { "oneOf": tagged(), "anyOf": tagged() } } });
    assert_eq!(findings(vec![one_input(twice)], "gemini").len(), 2);
    let allowed = Endpoint {
        allowed: &["unfit_for_reader"],
        ..one_input(SCHEMAS[1])
    };
    assert_eq!(findings(vec![allowed], "openai"), Vec::<String>::new());
}

#[test]
fn lint_compares_the_time_of_handlers_with_the_time_that_a_reader_waits() {
    let of = |seconds: Option<u64>| Endpoint {
        timeout: seconds.map(Duration::from_secs),
        ..endpoint("find_order", GOOD)
    };
    for (seconds, name, words) in [
        (
            Some(46),
            "gpt-actions",
            Some("The handler may run for 46s, but GPT Actions waits for only 45s"),
        ),
        (Some(45), "gpt-actions", None),
        (
            None,
            "gpt-actions",
            Some("Handlers of endpoints without a `timeout` may run for 1m, but GPT Actions waits for only 45s"),
        ),
        (None, "copilot", None),
        (Some(121), "copilot", Some("Copilot Studio waits for only 2m")),
        (Some(301), "anthropic", Some("Claude waits for only 5m")),
        (Some(9000), "openai", None),
    ] {
        let found = findings(vec![of(seconds)], name);
        let timed: Vec<&String> = found.iter().filter(|one| one.contains("waits for")).collect();
        assert_eq!(timed.len(), usize::from(words.is_some()), "{name}: {found:?}");
        if let Some(words) = words {
            assert!(timed[0].contains(words), "{timed:?}");
        }
    }
}
