//! Tests of every kind of change, in every format that can express the change.

mod guarantees;

use serde_json::{Value, json};

use super::{Contract, changes};
use crate::manifest::Format;

fn manifest(inputs: &Value, outputs: &Value) -> Contract {
    let document = json!({ "endpoints": [{
        "name": "find", "description": "Finds.", "url": "https://a.example/find", "method": "POST",
        "inputs": inputs, "outputs": outputs,
    }]});
    Contract::read(Format::Operator, &document.to_string()).unwrap()
}

fn said(old: &Contract, new: &Contract) -> Vec<String> {
    changes(old, new).iter().map(ToString::to_string).collect()
}

fn inputs(old: Value, new: Value) -> Vec<String> {
    let object =
        |properties: Value| json!({ "type": "object", "properties": properties, "additionalProperties": false });
    said(&manifest(&object(old), &json!({})), &manifest(&object(new), &json!({})))
}

fn outputs(old: &Value, new: &Value) -> Vec<String> {
    said(&manifest(&json!({}), old), &manifest(&json!({}), new))
}

#[test]
fn equal_schemas_have_no_differences() {
    let one = manifest(
        &json!({ "properties": { "a": { "type": "string" } } }),
        &json!({ "type": "string" }),
    );
    assert_eq!(changes(&one, &one), []);
}

#[test]
fn a_narrower_input_names_the_callers_that_it_breaks() {
    let one = |old: Value, new: Value| inputs(json!({ "a": old }), json!({ "a": new })).remove(0);
    assert_eq!(
        one(json!({ "maximum": 20 }), json!({ "maximum": 10 })),
        "`find` now accepts fewer values for `a` (at most 10): this breaks callers that send more than 10 for `a`"
    );
    assert_eq!(
        one(json!({ "multipleOf": 5 }), json!({ "multipleOf": 10 })),
        "`find` now accepts fewer values for `a` (multipleOf 10): this breaks callers that send values that do not match the multipleOf 10 for `a`"
    );
    assert_eq!(
        one(json!({ "enum": ["a", "b"] }), json!({ "enum": ["a"] })),
        "`find` now accepts fewer values for `a` (not every value that it accepted before): this breaks callers that send \"b\" for `a`"
    );
    assert_eq!(
        one(json!({ "type": ["string", "null"] }), json!({ "type": "string" })),
        "`find` now accepts fewer values for `a` (only the type string): this breaks callers that send null for `a`"
    );
    assert_eq!(
        one(
            json!({ "type": "object", "properties": { "b": { "type": "integer" } } }),
            json!({ "type": "object", "properties": { "b": { "type": "integer" } }, "required": ["b"] })
        ),
        "`find` now needs `a.b`: this breaks callers that leave `a.b` out"
    );
}

#[test]
fn an_equal_or_wider_input_breaks_no_caller() {
    let harmless = |old: Value, new: Value| {
        let said = inputs(json!({ "a": old }), json!({ "a": new }));
        assert!(!said[0].contains("breaks"), "{said:?}");
    };
    harmless(json!({ "maximum": 10 }), json!({ "maximum": 20 }));
    harmless(json!({ "maximum": 10 }), json!({}));
    harmless(json!({ "enum": ["a"] }), json!({ "enum": ["a", "b"] }));
    harmless(json!({ "type": "integer" }), json!({ "type": ["integer", "null"] }));
    harmless(json!({ "type": "integer" }), json!({ "type": "number" }));
    harmless(json!({ "multipleOf": 10 }), json!({ "multipleOf": 5 }));
    harmless(json!({ "description": "Old." }), json!({ "description": "New." }));
    harmless(
        json!({ "oneOf": [{ "const": "a" }] }),
        json!({ "oneOf": [{ "const": "a" }, { "const": "b" }] }),
    );
    harmless(
        json!({ "enum": ["a"] }),
        json!({ "oneOf": [{ "const": "a", "description": "Now said." }] }),
    );
}

#[test]
fn definitions_are_followed_wherever_they_are() {
    let shared = json!({
        "properties": { "a": { "$ref": "#/$defs/A" } }, "$defs": { "A": { "type": "integer", "maximum": 9 } },
    });
    let inlined = json!({ "properties": { "a": { "type": "integer", "maximum": 9 } } });
    let less = json!({ "properties": { "a": { "type": "integer", "maximum": 8 } } });
    let of = |inputs: &Value| manifest(inputs, &json!({}));
    assert_eq!(changes(&of(&shared), &of(&inlined)), []);
    assert!(said(&of(&shared), &of(&less))[0].contains("send more than 8 for `a`"));
}

#[test]
fn removed_or_newly_required_inputs_break_callers() {
    assert_eq!(
        inputs(json!({ "a": {} }), json!({})),
        ["`find` no longer accepts `a`: this breaks callers that send `a`"]
    );
    assert_eq!(
        inputs(json!({}), json!({ "a": {} })),
        ["`find` now also accepts `a`, which is optional"]
    );
    let required = |list: Value| manifest(&json!({ "properties": { "a": {} }, "required": list }), &json!({}));
    assert_eq!(
        said(&required(json!([])), &required(json!(["a"]))),
        ["`find` now needs `a`: this breaks callers that leave `a` out"]
    );
}

#[test]
fn answers_that_lose_a_field_or_gain_a_kind_of_value_break_callers() {
    let list = |fields: Value| json!({ "type": "array", "items": { "type": "object", "properties": fields } });
    assert_eq!(
        outputs(&list(json!({ "id": {}, "total": {} })), &list(json!({ "id": {} }))),
        ["`find` no longer answers with `[].total`: this breaks callers that read `[].total`"]
    );
    assert_eq!(
        outputs(&list(json!({ "id": {} })), &list(json!({ "id": {}, "total": {} }))),
        ["`find` now also answers with `[].total`"]
    );
    assert_eq!(
        outputs(&json!({ "type": "string" }), &json!({ "type": ["string", "null"] })),
        ["`find` may now answer with null: this breaks callers that do not expect that"]
    );
    assert_eq!(
        outputs(&json!({ "type": ["string", "null"] }), &json!({ "type": "string" })),
        ["`find` describes its answer differently"]
    );
}

#[test]
fn another_name_method_or_url_breaks_callers_of_the_old_one() {
    let old = manifest(&json!({}), &json!({}));
    let change = |change: fn(&mut Contract)| {
        let mut new = manifest(&json!({}), &json!({}));
        change(&mut new);
        said(&old, &new).remove(0)
    };
    assert!(change(|new| new.endpoints[0].name = "search".into()).contains("callers that know it as `find`"));
    assert!(
        change(|new| new.endpoints[0].place.as_mut().unwrap().method = "GET".into())
            .contains("callers that send a POST")
    );
    assert!(
        change(|new| new.endpoints[0].place.as_mut().unwrap().url.push('s'))
            .contains("call and sign https://a.example/find")
    );
    assert!(change(|new| new.endpoints.clear()).contains("callers that call POST https://a.example/find"));
}

#[test]
fn a_renamed_input_is_reported_once() {
    let words = || json!({ "type": "string", "description": "The address." });
    assert_eq!(
        inputs(json!({ "mail": words() }), json!({ "email": words() })),
        ["`find` now accepts `mail` under the name `email`: this breaks callers that send `mail`"]
    );
    let needed = |name: &str| {
        let filter = json!({ "type": "object", "properties": { name: words() }, "required": [name] });
        json!({ "filter": filter })
    };
    assert_eq!(
        inputs(needed("mail"), needed("email")),
        ["`find` now accepts `filter.mail` under the name `email`: this breaks callers that send `filter.mail`"]
    );
    let optional = json!({ "filter": { "type": "object", "properties": { "mail": words() } } });
    assert_eq!(
        inputs(optional, needed("email")),
        [
            "`find` now accepts `filter.mail` under the name `email`: this breaks callers that send `filter.mail`",
            "`find` now needs `filter.email`: this breaks callers that leave `filter.email` out"
        ]
    );
    // These fields have different descriptions, so nothing shows that they are the same field.
    let other = json!({ "type": "string", "description": "The name." });
    assert_eq!(
        inputs(json!({ "mail": words() }), json!({ "name": other })),
        [
            "`find` no longer accepts `mail`: this breaks callers that send `mail`",
            "`find` now also accepts `name`, which is optional"
        ]
    );
}

#[test]
fn an_answer_field_that_becomes_optional_breaks_callers() {
    let required = |list: Value| json!({ "type": "object", "properties": { "id": {} }, "required": list });
    assert_eq!(
        outputs(&required(json!(["id"])), &required(json!([]))),
        ["`find` may now leave `id` out of its answer: this breaks callers that always expect `id`"]
    );
}

#[test]
fn a_difference_does_not_hide_behind_a_reference() {
    let all = |most: u32| {
        let part = json!({ "$ref": "#/$defs/A" });
        let a = json!({ "allOf": [part], "properties": { "b": { "$ref": "#/$defs/A" } } });
        json!({ "properties": { "a": a }, "$defs": { "A": { "maxProperties": most } } })
    };
    let said = said(&manifest(&all(9), &json!({})), &manifest(&all(8), &json!({})));
    assert!(
        said[0].contains("now accepts fewer values for `a` (a different rule in `allOf`)"),
        "{said:?}"
    );
}

/// A recursive type in a list of variants, with one more field.
fn tree(more: &Value) -> Value {
    let neighbour = json!({ "anyOf": [{ "$ref": "#/$defs/Tree" }, { "type": "null" }] });
    let branches = json!({ "type": "array", "items": { "$ref": "#/$defs/Tree" } });
    let tree =
        json!({ "type": "object", "properties": { "neighbour": neighbour, "branches": branches, "more": more } });
    json!({
        "type": "object",
        "properties": { "value": { "$ref": "#/$defs/Tree" }, "limit": { "maximum": 9 } },
        "$defs": { "Tree": tree },
    })
}

#[test]
fn recursive_types_end_and_are_reported_once() {
    let (old, mut new) = (tree(&json!({})), tree(&json!({})));
    new["properties"]["limit"]["maximum"] = json!(8);
    let inputs = |old: &Value, new: &Value| said(&manifest(old, &json!({})), &manifest(new, &json!({})));
    assert_eq!(
        inputs(&old, &new),
        [
            "`find` now accepts fewer values for `limit` (at most 8): this breaks callers that send more than 8 for `limit`"
        ]
    );
    let less = inputs(&tree(&json!({ "maxLength": 9 })), &tree(&json!({ "maxLength": 8 })));
    assert_eq!(
        less,
        [
            "`find` now accepts fewer values for `value.more` (a text length of at most 8): this breaks callers that send a text longer than 8 for `value.more`"
        ]
    );
}

#[test]
fn mutually_recursive_types_with_many_variants_end() {
    let of = |most: u32| {
        let names: Vec<String> = (0..12).map(|number| format!("T{number}")).collect();
        let forms: Vec<Value> = names
            .iter()
            .map(|name| json!({ "$ref": format!("#/$defs/{name}") }))
            .collect();
        let definition = |name: &String| {
            let properties =
                json!({ "next": { "anyOf": forms }, "kind": { "const": name }, "most": { "maximum": most } });
            (
                name.clone(),
                json!({ "type": "object", "properties": properties, "required": ["kind"] }),
            )
        };
        let definitions: serde_json::Map<_, _> = names.iter().map(definition).collect();
        json!({ "properties": { "value": { "$ref": "#/$defs/T0" } }, "$defs": definitions })
    };
    let said = said(&manifest(&of(9), &json!({})), &manifest(&of(8), &json!({})));
    assert!(
        said.iter()
            .any(|one| one.contains("now accepts fewer values for `value.most` (at most 8)")),
        "{said:?}"
    );
    assert!(said.len() < 200, "{}", said.len());
}

#[test]
fn answers_are_followed_into_maps_and_tuples() {
    let stock =
        |fields: Value| json!({ "type": "object", "additionalProperties": { "type": "object", "properties": fields } });
    assert_eq!(
        outputs(
            &stock(json!({ "left": {}, "where": {} })),
            &stock(json!({ "left": {} }))
        ),
        ["`find` no longer answers with `*.where`: this breaks callers that read `*.where`"]
    );
    let pair = |second: &str| json!({ "type": "array", "prefixItems": [{ "type": "string" }, { "type": second }] });
    assert_eq!(
        outputs(&pair("integer"), &pair("string")),
        ["`find` may now answer with a text for `[1]`: this breaks callers that do not expect a text there"]
    );
}

#[test]
fn keywords_beside_variants_are_compared_too() {
    let one = |old: Value, new: Value| inputs(json!({ "a": old }), json!({ "a": new }));
    let count = |least: u32| json!({ "anyOf": [{ "type": "integer" }, { "type": "null" }], "minimum": least });
    assert_eq!(
        one(count(1), count(2)),
        ["`find` now accepts fewer values for `a` (at least 2): this breaks callers that send less than 2 for `a`"]
    );
    // In a flattened enum, each variant has its own fields, and all variants share the fields beside the enum.
    let flattened = |beside: Value, required: Value| {
        let form =
            |kind: &str| json!({ "type": "object", "properties": { "kind": { "const": kind } }, "required": ["kind"] });
        json!({ "type": "object", "properties": beside, "required": required, "oneOf": [form("x"), form("y")] })
    };
    assert_eq!(
        one(
            flattened(json!({ "id": { "type": "integer" } }), json!([])),
            flattened(json!({ "id": { "type": "integer" } }), json!(["id"]))
        ),
        ["`find` now needs `a.id`: this breaks callers that leave `a.id` out"]
    );
    assert_eq!(
        outputs(
            &flattened(json!({ "id": {}, "name": {} }), json!(["id"])),
            &flattened(json!({ "id": {} }), json!(["id"]))
        ),
        ["`find` no longer answers with `name`: this breaks callers that read `name`"]
    );
}

#[test]
fn variants_are_recognised_by_their_different_parts() {
    let address = |fields: Value| json!({ "type": "object", "properties": fields });
    let optional = |inner: Value| json!({ "anyOf": [inner, { "type": "null" }] });
    let (whole, less) = (
        address(json!({ "street": {}, "town": {} })),
        address(json!({ "street": {} })),
    );
    assert_eq!(
        outputs(&optional(whole.clone()), &optional(less.clone())),
        ["`find` no longer answers with `town`: this breaks callers that read `town`"]
    );
    assert_eq!(
        outputs(&whole, &optional(less.clone())),
        [
            "`find` no longer answers with `town`: this breaks callers that read `town`",
            "`find` may now answer with null: this breaks callers that do not expect that"
        ]
    );
    let one = |old: Value, new: Value| inputs(json!({ "a": old }), json!({ "a": new }));
    assert_eq!(
        one(optional(whole.clone()), whole.clone()),
        ["`find` now accepts fewer values for `a` (not null): this breaks callers that send null for `a`"]
    );
    let form = |kind: &str, most: u32| {
        let properties = json!({ "kind": { "const": kind }, "most": { "maximum": most } });
        json!({ "type": "object", "description": format!("Of kind {kind}."), "properties": properties, "required": ["kind"] })
    };
    assert_eq!(
        one(
            json!({ "oneOf": [form("x", 9), form("y", 9)] }),
            json!({ "oneOf": [form("y", 8), form("z", 9)] })
        ),
        [
            "`find` now accepts fewer values for `a` (not every variant that it accepted before): this breaks callers that send the variant \"Of kind x\" for `a`",
            "`find` now accepts fewer values for `a.most` (at most 8): this breaks callers that send more than 8 for `a.most`"
        ]
    );
    // If the answer has more values than before, the message names the new values.
    assert_eq!(
        outputs(&json!({ "enum": ["a"] }), &json!({ "enum": ["a", "b"] })),
        ["`find` may now answer with \"b\": this breaks callers that do not expect that"]
    );
}

#[test]
fn a_type_is_the_same_as_a_variant_and_in_a_list_of_types() {
    let one = |old: Value, new: Value| inputs(json!({ "a": old }), json!({ "a": new }));
    let list = json!({ "type": ["string", "null"] });
    let forms = json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] });
    for (old, new) in [(&list, &forms), (&forms, &list)] {
        let harmless = "`find` describes `a` differently, or accepts more values for `a`";
        assert_eq!(one(old.clone(), new.clone()), [harmless]);
    }
}

#[test]
fn openapi_3_0_is_read_back_as_what_was_written() {
    let written = |schema: Value| {
        let operation = json!({ "operationId": "find", "responses": {}, "requestBody": {
            "content": { "application/json": { "schema": { "type": "object", "properties": { "a": schema } } } } } });
        let document = json!({ "openapi": "3.0.3", "paths": { "/find": { "post": operation } },
            "components": { "schemas": { "A": { "type": "string", "nullable": true } } } });
        let contract = Contract::read(Format::OpenApi30, &document.to_string()).unwrap();
        contract.endpoints[0].inputs["properties"]["a"].clone()
    };
    for (in_3_0, in_json_schema) in [
        (
            json!({ "type": "integer", "nullable": true }),
            json!({ "type": ["integer", "null"] }),
        ),
        (
            json!({ "minimum": 1, "exclusiveMinimum": true }),
            json!({ "exclusiveMinimum": 1 }),
        ),
        (
            json!({ "minimum": 1, "exclusiveMinimum": false }),
            json!({ "minimum": 1 }),
        ),
        (
            json!({ "$ref": "#/components/schemas/A" }),
            json!({ "type": ["string", "null"] }),
        ),
        (
            json!({ "allOf": [{ "$ref": "#/components/schemas/A" }], "description": "D." }),
            json!({ "type": ["string", "null"], "description": "D." }),
        ),
        (
            json!({ "allOf": [{ "anyOf": [{ "type": "string", "nullable": true }, { "type": "integer", "nullable": true }] }] }),
            json!({ "type": ["string", "null", "integer"] }),
        ),
    ] {
        assert_eq!(written(in_3_0), in_json_schema);
    }
}

#[test]
fn a_document_of_another_format_is_named() {
    let read = |format, text: &str| Contract::read(format, text).unwrap_err().to_string();
    assert!(read(Format::Operator, "{").starts_with("is not JSON ("));
    assert!(read(Format::Operator, "{}").starts_with("is not a manifest ("));
    assert_eq!(read(Format::Mcp, "{}"), "is not a list of MCP tools");
    assert_eq!(
        read(Format::OpenApi, r#"{"openapi":"3.0.3"}"#),
        "is not an OpenAPI 3.1 document"
    );
    let unnamed = r#"{"openapi":"3.1.0","paths":{"/a":{"get":{}}}}"#;
    assert_eq!(read(Format::OpenApi, unnamed), "has no `operationId` for GET /a");
}
