//! Gives tagged unions a `discriminator`, and each of their variants a name, because OpenAPI finds a variant only by a
//! reference (OpenAPI 3.1.0 §4.8.25: inline schemas are not considered).

use heck::ToUpperCamelCase as _;
use serde_json::{Map, Value, json};

use crate::schema::definitions::is_annotation;
use crate::schema::keywords::requires;
use crate::schema::names::{codes, first_free};

/// Rewrites every definition that is only a choice between objects with one tag. Other unions stay as they are: they
/// have no property whose value decides alone.
pub(super) fn add(definitions: &mut Map<String, Value>) {
    let unions: Vec<(String, String, Vec<String>)> = definitions
        .iter()
        .filter_map(|(name, schema)| tagged(schema).map(|(tag, values)| (name.clone(), tag, values)))
        .collect();
    for (union, tag, values) in unions {
        let names: Vec<String> = values.iter().map(|value| variant_name(&union, value)).collect();
        let mut free = Vec::with_capacity(names.len());
        for name in names {
            // The content of the variant often has the first name: `enum Payment { Cash(PaymentCash) }`.
            let variant = format!("{name}Variant");
            let name = first_free([name, variant], |name| definitions.contains_key(name));
            definitions.insert(name.clone(), Value::Null);
            free.push(name);
        }
        let Some(schema) = definitions.get_mut(&union) else {
            continue;
        };
        let target = |name: &String| format!("#/components/schemas/{name}");
        let references = free.iter().map(|name| json!({ "$ref": format!("#/$defs/{name}") }));
        let variants = std::mem::replace(&mut schema["oneOf"], references.collect());
        let mapping: Map<String, Value> = values
            .into_iter()
            .zip(free.iter().map(|name| target(name).into()))
            .collect();
        schema["discriminator"] = json!({ "propertyName": tag, "mapping": mapping });
        if let Value::Array(variants) = variants {
            for (name, mut variant) in free.into_iter().zip(variants) {
                move_reference(&mut variant);
                definitions.insert(name, variant);
            }
        }
    }
}

/// The tag of a union and its value in each variant.
fn tagged(schema: &Value) -> Option<(String, Vec<String>)> {
    let object = schema.as_object()?;
    if !object
        .keys()
        .all(|keyword| keyword == "oneOf" || is_annotation(keyword))
    {
        return None;
    }
    let variants = schema["oneOf"].as_array()?;
    let mut tags = variants.first()?["properties"].as_object()?.keys();
    tags.find_map(|tag| {
        let values: Vec<String> = variants
            .iter()
            .map(|variant| value_of(variant, tag))
            .collect::<Option<_>>()?;
        let is_unique = (1..values.len()).all(|index| !values[..index].contains(&values[index]));
        is_unique.then(|| (tag.clone(), values))
    })
}

/// The only value of a required property.
fn value_of(variant: &Value, property: &str) -> Option<String> {
    let value = variant["properties"][property]["const"].as_str()?;
    requires(variant, property).then(|| value.to_owned())
}

/// The union's name and the tag's value in Pascal case. Names of components are ASCII, so a value without ASCII letters is
/// spelled by the code points of its letters.
fn variant_name(union: &str, value: &str) -> String {
    let ascii = value
        .replace(|letter: char| !letter.is_ascii_alphanumeric(), " ")
        .to_upper_camel_case();
    let words = [ascii, codes(value), "Variant".to_owned()];
    let word = words.into_iter().find(|word| !word.is_empty()).unwrap_or_default();
    format!("{union}{word}")
}

/// Moves a reference into `allOf`, because many generators ignore the keywords beside a reference.
fn move_reference(variant: &mut Value) {
    let Some(object) = variant.as_object_mut() else {
        return;
    };
    let Some(reference) = object.remove("$ref") else {
        return;
    };
    let all = object.entry("allOf").or_insert_with(|| json!([]));
    if let Some(all) = all.as_array_mut() {
        all.push(json!({ "$ref": reference }));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

    use super::*;

    fn variant(tag: &str) -> Value {
        json!({ "type": "object", "properties": { "kind": { "type": "string", "const": tag } }, "required": ["kind"] })
    }

    fn added(definitions: &Value) -> Value {
        let mut definitions = definitions.as_object().unwrap().clone();
        add(&mut definitions);
        definitions.into()
    }

    #[test]
    fn each_variant_of_a_tagged_union_gets_a_name_that_the_mapping_has() {
        let mut inner = variant("by_card");
        inner["$ref"] = "#/$defs/Card".into();
        let found = added(&json!({
            "Payment": { "description": "How.", "oneOf": [variant("cash"), inner] },
            "PaymentCash": { "type": "string" },
        }));
        assert_eq!(
            found["Payment"],
            json!({
                "description": "How.",
                "oneOf": [{ "$ref": "#/$defs/PaymentCashVariant" }, { "$ref": "#/$defs/PaymentByCard" }],
                "discriminator": { "propertyName": "kind", "mapping": {
                    "cash": "#/components/schemas/PaymentCashVariant",
                    "by_card": "#/components/schemas/PaymentByCard",
                } },
            })
        );
        assert_eq!(found["PaymentCash"], json!({ "type": "string" }));
        assert_eq!(found["PaymentCashVariant"], variant("cash"));
        assert_eq!(found["PaymentByCard"]["allOf"], json!([{ "$ref": "#/$defs/Card" }]));
        assert!(found["PaymentByCard"].get("$ref").is_none());
    }

    #[test]
    fn other_unions_stay_as_they_are() {
        let mut optional = variant("a");
        optional["required"] = json!([]);
        let text = json!({ "type": "string" });
        for forms in [
            json!([variant("a"), variant("a")]),
            json!([variant("a"), optional]),
            json!([variant("a"), text]),
            json!([{ "const": "a" }, { "const": "b" }]),
            json!([]),
        ] {
            let before = json!({ "Choice": { "oneOf": forms } });
            assert_eq!(added(&before), before);
        }
        let beside = json!({ "Choice": { "type": "object", "properties": {}, "oneOf": [variant("a"), variant("b")] } });
        assert_eq!(added(&beside), beside);
    }

    #[test]
    fn values_that_are_no_names_still_give_names() {
        let found =
            added(&json!({ "Word": { "oneOf": [variant("größe"), variant("ключ"), variant("鍵"), variant("")] } }));
        let names: Vec<&String> = found.as_object().unwrap().keys().collect();
        assert_eq!(
            names,
            ["Word", "WordGrE", "WordU43A_U43B_U44E_U447", "WordU9375", "WordVariant"]
        );
        assert_eq!(variant_name("A", "SCREAMING_CASE"), "AScreamingCase");
        assert_eq!(variant_name("A", "camelCase"), "ACamelCase");
    }
}
