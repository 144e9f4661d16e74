//! Converts JSON Schema 2020-12 to the dialect of OpenAPI 3.0.3. If 3.0 cannot express a rule, the schema allows more
//! values, never fewer.

use serde_json::{Map, Value, json};

use crate::schema::walk;

/// Keywords that 3.0 does not have.
const UNKNOWN: [&str; 14] = [
    "$comment",
    "$schema",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxContains",
    "minContains",
    "propertyNames",
    "then",
    "unevaluatedItems",
];

/// Converts a schema and every schema inside it to 3.0.
pub(super) fn lower(schema: &mut Value) {
    walk::rewrite(schema, &mut |schema| match schema {
        Value::Bool(false) => *schema = json!({ "not": {} }),
        Value::Object(object) => lower_one(object),
        _ => {}
    });
}

fn lower_one(schema: &mut Map<String, Value>) {
    if let Some(value) = schema.remove("const") {
        schema.insert("enum".into(), json!([value]));
    }
    if let Some(Value::Array(mut examples)) = schema.remove("examples")
        && !examples.is_empty()
    {
        schema.insert("example".into(), examples.remove(0));
    }
    lower_bound(schema, "exclusiveMinimum", "minimum", |exclusive, inclusive| {
        exclusive >= inclusive
    });
    lower_bound(schema, "exclusiveMaximum", "maximum", |exclusive, inclusive| {
        exclusive <= inclusive
    });
    lower_items(schema);
    lower_properties(schema);
    for keyword in UNKNOWN {
        schema.remove(keyword);
    }
    lower_type(schema);
    if schema.get("type") == Some(&json!("array")) {
        schema.entry("items").or_insert_with(|| json!({}));
    }
    // 3.0 ignores keywords beside a reference, so the reference moves into `allOf`.
    if schema.len() > 1
        && let Some(reference) = schema.remove("$ref")
    {
        all_of(schema, json!({ "$ref": reference }));
    }
}

/// Converts an exclusive bound. In 3.0, it is an inclusive bound with a flag.
fn lower_bound(schema: &mut Map<String, Value>, exclusive: &str, inclusive: &str, is_tighter: fn(f64, f64) -> bool) {
    let Some(bound) = schema.remove(exclusive) else { return };
    let other = schema.get(inclusive).and_then(Value::as_f64);
    if other.is_none_or(|other| bound.as_f64().is_some_and(|bound| is_tighter(bound, other))) {
        schema.insert(inclusive.into(), bound);
        schema.insert(exclusive.into(), true.into());
    }
}

/// Converts a tuple to a list whose items fit any of the tuple's schemas, because 3.0 has no tuples.
fn lower_items(schema: &mut Map<String, Value>) {
    let Some(Value::Array(mut any)) = schema.remove("prefixItems") else {
        return;
    };
    let nothing = json!({ "not": {} });
    any.extend(schema.remove("items").filter(|rest| *rest != nothing));
    any.dedup();
    let items = if any.len() == 1 {
        any.remove(0)
    } else {
        json!({ "anyOf": any })
    };
    schema.insert("items".into(), items);
}

fn lower_properties(schema: &mut Map<String, Value>) {
    let nothing = json!({ "not": {} });
    let mut rest = schema.remove("additionalProperties");
    // 3.0 does not track which properties `allOf` and the like evaluate, so such a schema must allow other properties.
    let closed = schema
        .remove("unevaluatedProperties")
        .is_some_and(|rest| rest == nothing);
    if closed
        && ["allOf", "anyOf", "oneOf", "$ref"]
            .iter()
            .all(|keyword| !schema.contains_key(*keyword))
    {
        rest = Some(nothing.clone());
    }
    if let Some(Value::Object(patterns)) = schema.remove("patternProperties") {
        let mut any: Vec<Value> = patterns.into_iter().map(|(_, schema)| schema).collect();
        any.extend(rest.filter(|rest| *rest != nothing));
        rest = Some(if any.len() == 1 {
            any.remove(0)
        } else {
            json!({ "anyOf": any })
        });
    }
    match rest {
        Some(rest) if rest == nothing => {
            schema.insert("additionalProperties".into(), false.into());
        }
        Some(rest) => {
            schema.insert("additionalProperties".into(), rest);
        }
        None => {}
    }
}

/// Converts a list of types. A 3.0 schema has only one type, which may be nullable, and there is no type for null
/// alone.
fn lower_type(schema: &mut Map<String, Value>) {
    let types = match schema.get("type") {
        Some(Value::Array(types)) => types.clone(),
        Some(Value::String(only)) if only == "null" => vec![json!("null")],
        _ => return,
    };
    let nullable = types.iter().any(|one| one == "null");
    let mut types: Vec<Value> = types.into_iter().filter(|one| one != "null").collect();
    schema.remove("type");
    match (types.len(), nullable) {
        (0, _) => {
            schema.extend([
                ("type".to_owned(), json!("string")),
                ("nullable".to_owned(), true.into()),
                ("enum".to_owned(), json!([null])),
            ]);
        }
        (1, _) => {
            schema.insert("type".into(), types.remove(0));
            if nullable {
                schema.insert("nullable".into(), true.into());
            }
        }
        _ => {
            let any: Vec<Value> = types
                .into_iter()
                .map(|one| {
                    if nullable {
                        json!({ "type": one, "nullable": true })
                    } else {
                        json!({ "type": one })
                    }
                })
                .collect();
            all_of(schema, json!({ "anyOf": any }));
        }
    }
}

/// Converts a 3.0 schema back to JSON Schema 2020-12, as far as 3.0 can express it. The schemas inside it must already
/// be converted.
#[cfg(feature = "cli")]
pub(super) fn raise(schema: &mut Map<String, Value>) {
    for (exclusive, inclusive) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        let is_exclusive = schema.remove(exclusive) == Some(Value::Bool(true));
        if let Some(bound) = is_exclusive.then(|| schema.remove(inclusive)).flatten() {
            schema.insert(exclusive.into(), bound);
        }
    }
    // This undoes the `allOf` that `lower` adds for keywords that must not be beside other keywords.
    if let Some([Value::Object(part)]) = schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice)
        && part.keys().all(|keyword| keyword == "$ref" || keyword == "type")
        && part.keys().all(|keyword| !schema.contains_key(keyword))
    {
        let part = part.clone();
        schema.remove("allOf");
        schema.extend(part);
    }
    raise_type(schema);
}

/// Turns a nullable type, or alternatives that are only types, back into a list of types.
#[cfg(feature = "cli")]
fn raise_type(schema: &mut Map<String, Value>) {
    let nullable = schema.remove("nullable") == Some(Value::Bool(true));
    let mut types: Vec<Value> = match (schema.get("type"), schema.get("anyOf").and_then(Value::as_array)) {
        (Some(only), _) => vec![only.clone()],
        (None, Some(any)) if schema.len() == 1 => {
            let only_type = |one: &Value| one.as_object().filter(|one| one.len() == 1)?.get("type").cloned();
            let Some(types) = any.iter().map(only_type).collect::<Option<Vec<_>>>() else {
                return;
            };
            types
                .into_iter()
                .flat_map(|one| one.as_array().cloned().unwrap_or(vec![one]))
                .collect()
        }
        _ => return,
    };
    if nullable {
        types.push("null".into());
    }
    let mut seen = std::collections::HashSet::new();
    types.retain(|one| seen.insert(one.clone()));
    schema.remove("anyOf");
    let types = if types.len() == 1 {
        types.remove(0)
    } else {
        types.into()
    };
    schema.insert("type".into(), types);
}

fn all_of(schema: &mut Map<String, Value>, part: Value) {
    let all = schema.entry("allOf").or_insert_with(|| json!([]));
    if let Some(all) = all.as_array_mut() {
        all.push(part);
    }
}
