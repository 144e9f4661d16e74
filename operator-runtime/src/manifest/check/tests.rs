//! Every kind of change, in every format that can say it.

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
fn the_same_differs_in_nothing() {
    let one = manifest(
        &json!({ "properties": { "a": { "type": "string" } } }),
        &json!({ "type": "string" }),
    );
    assert_eq!(changes(&one, &one), []);
}

#[test]
fn what_takes_less_names_who_would_be_broken() {
    let one = |old: Value, new: Value| inputs(json!({ "a": old }), json!({ "a": new })).remove(0);
    assert_eq!(
        one(json!({ "maximum": 20 }), json!({ "maximum": 10 })),
        "`find` takes less for `a` (at most 10): this breaks callers that send more than 10 for `a`"
    );
    assert_eq!(
        one(json!({ "multipleOf": 5 }), json!({ "multipleOf": 10 })),
        "`find` takes less for `a` (multipleOf 10): this breaks callers that send what breaks the multipleOf 10 for `a`"
    );
    assert_eq!(
        one(json!({ "enum": ["a", "b"] }), json!({ "enum": ["a"] })),
        "`find` takes less for `a` (not every value that it took): this breaks callers that send \"b\" for `a`"
    );
    assert_eq!(
        one(json!({ "type": ["string", "null"] }), json!({ "type": "string" })),
        "`find` takes less for `a` (of type string only): this breaks callers that send null for `a`"
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
fn what_takes_as_much_or_more_breaks_nobody() {
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
fn definitions_are_looked_into_wherever_they_stand() {
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
fn inputs_that_go_or_become_required_break_callers() {
    assert_eq!(
        inputs(json!({ "a": {} }), json!({})),
        ["`find` no longer takes `a`: this breaks callers that send `a`"]
    );
    assert_eq!(
        inputs(json!({}), json!({ "a": {} })),
        ["`find` takes `a`, which may be left out"]
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
        ["`find` answers with `[].total` too"]
    );
    assert_eq!(
        outputs(&json!({ "type": "string" }), &json!({ "type": ["string", "null"] })),
        ["`find` may answer with null for its answer: this breaks callers that do not expect null there"]
    );
    assert_eq!(
        outputs(&json!({ "type": ["string", "null"] }), &json!({ "type": "string" })),
        ["`find` describes its answer differently"]
    );
}

#[test]
fn another_name_or_method_or_url_breaks_who_uses_the_old_one() {
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
            .contains("call and sign over https://a.example/find")
    );
    assert!(change(|new| new.endpoints.clear()).contains("callers that call POST https://a.example/find"));
}

#[test]
fn a_renamed_input_is_told_once() {
    let words = || json!({ "type": "string", "description": "The address." });
    assert_eq!(
        inputs(json!({ "mail": words() }), json!({ "email": words() })),
        ["`find` takes `mail` by the name `email` now: this breaks callers that send `mail`"]
    );
    let needed = |name: &str| {
        let filter = json!({ "type": "object", "properties": { name: words() }, "required": [name] });
        json!({ "filter": filter })
    };
    assert_eq!(
        inputs(needed("mail"), needed("email")),
        ["`find` takes `filter.mail` by the name `email` now: this breaks callers that send `filter.mail`"]
    );
    let optional = json!({ "filter": { "type": "object", "properties": { "mail": words() } } });
    assert_eq!(
        inputs(optional, needed("email")),
        [
            "`find` takes `filter.mail` by the name `email` now: this breaks callers that send `filter.mail`",
            "`find` now needs `filter.email`: this breaks callers that leave `filter.email` out"
        ]
    );
    // Nothing says that these are the same.
    let other = json!({ "type": "string", "description": "The name." });
    assert_eq!(
        inputs(json!({ "mail": words() }), json!({ "name": other })),
        [
            "`find` no longer takes `mail`: this breaks callers that send `mail`",
            "`find` takes `name`, which may be left out"
        ]
    );
}

#[test]
fn an_answer_that_may_leave_out_what_was_always_there() {
    let required = |list: Value| json!({ "type": "object", "properties": { "id": {} }, "required": list });
    assert_eq!(
        outputs(&required(json!(["id"])), &required(json!([]))),
        ["`find` may leave `id` out of its answer: this breaks callers that expect `id` always"]
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
        said[0].contains("takes less for `a` (another rule in `allOf`)"),
        "{said:?}"
    );
}

/// A type that holds itself in a list of forms, with one more field.
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
fn recursive_types_end_and_are_told_once() {
    let (old, mut new) = (tree(&json!({})), tree(&json!({})));
    new["properties"]["limit"]["maximum"] = json!(8);
    let inputs = |old: &Value, new: &Value| said(&manifest(old, &json!({})), &manifest(new, &json!({})));
    assert_eq!(
        inputs(&old, &new),
        ["`find` takes less for `limit` (at most 8): this breaks callers that send more than 8 for `limit`"]
    );
    let less = inputs(&tree(&json!({ "maxLength": 9 })), &tree(&json!({ "maxLength": 8 })));
    assert_eq!(
        less,
        [
            "`find` takes less for `value.more` (text at most as long as 8): this breaks callers that send a text longer than 8 for `value.more`"
        ]
    );
}

#[test]
fn types_that_lead_to_each_other_in_many_forms_end() {
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
            .any(|one| one.contains("takes less for `value.most` (at most 8)")),
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
        ["`find` may answer with a text for `[1]`: this breaks callers that do not expect a text there"]
    );
}

#[test]
fn what_stands_beside_forms_is_compared_too() {
    let one = |old: Value, new: Value| inputs(json!({ "a": old }), json!({ "a": new }));
    let count = |least: u32| json!({ "anyOf": [{ "type": "integer" }, { "type": "null" }], "minimum": least });
    assert_eq!(
        one(count(1), count(2)),
        ["`find` takes less for `a` (at least 2): this breaks callers that send less than 2 for `a`"]
    );
    // A flattened enum: the forms have their own fields, and all have those beside.
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
fn forms_are_told_by_what_differs_in_them() {
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
            "`find` may answer with null for its answer: this breaks callers that do not expect null there"
        ]
    );
    let one = |old: Value, new: Value| inputs(json!({ "a": old }), json!({ "a": new }));
    assert_eq!(
        one(optional(whole.clone()), whole.clone()),
        ["`find` takes less for `a` (no null): this breaks callers that send null for `a`"]
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
            "`find` takes less for `a` (not every form that it took): this breaks callers that send the form \"Of kind x\" for `a`",
            "`find` takes less for `a.most` (at most 8): this breaks callers that send more than 8 for `a.most`"
        ]
    );
    // An answer has more forms or values than before: those are named.
    assert_eq!(
        outputs(&json!({ "enum": ["a"] }), &json!({ "enum": ["a", "b"] })),
        ["`find` may answer with \"b\" for its answer: this breaks callers that do not expect \"b\" there"]
    );
}

#[test]
fn one_type_is_the_same_in_forms_and_as_a_list() {
    let one = |old: Value, new: Value| inputs(json!({ "a": old }), json!({ "a": new }));
    let list = json!({ "type": ["string", "null"] });
    let forms = json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] });
    for (old, new) in [(&list, &forms), (&forms, &list)] {
        let harmless = "`find` describes `a` differently, or takes more for it";
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
fn what_is_no_document_of_the_format_is_said() {
    let read = |format, text: &str| Contract::read(format, text).unwrap_err().to_string();
    assert!(read(Format::Operator, "{").starts_with("is not JSON ("));
    assert!(read(Format::Operator, "{}").starts_with("is not a manifest ("));
    assert_eq!(read(Format::Mcp, "{}"), "has no list of MCP tools");
    assert_eq!(
        read(Format::OpenApi, r#"{"openapi":"3.0.3"}"#),
        "is not a document of OpenAPI 3.1"
    );
    let unnamed = r#"{"openapi":"3.1.0","paths":{"/a":{"get":{}}}}"#;
    assert_eq!(read(Format::OpenApi, unnamed), "has no `operationId` for GET /a");
}
