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
    let object = |properties: Value| json!({ "type": "object", "properties": properties });
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
        "`find` takes less for `a.b` (needed now): this breaks callers that send nothing for `a.b`"
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
    let said = outputs(&json!({ "type": "string" }), &json!({ "type": ["string", "null"] }));
    assert!(
        said[0].ends_with("this breaks callers that do not expect null for its answer"),
        "{said:?}"
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
    let read = |format, text: &str| Contract::read(format, text).unwrap_err();
    assert!(read(Format::Operator, "{").starts_with("no JSON ("));
    assert!(read(Format::Operator, "{}").starts_with("no manifest ("));
    assert_eq!(read(Format::Mcp, "{}"), "no list of MCP tools");
    assert_eq!(
        read(Format::OpenApi, r#"{"openapi":"3.0.3"}"#),
        "no document of OpenAPI 3.1"
    );
    let unnamed = r#"{"openapi":"3.1.0","paths":{"/a":{"get":{}}}}"#;
    assert_eq!(
        read(Format::OpenApi, unnamed),
        "a document in which GET /a has no `operationId`"
    );
}
