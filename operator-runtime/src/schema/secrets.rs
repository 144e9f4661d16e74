//! Which parts of a value are secret, by the schema of its type.

use serde_json::{Map, Value};

use super::keywords::lists_type;
use super::{definitions, walk};

/// The keyword that marks a secret value in a schema. It is written by `#[operator(secret)]`, and is not published.
pub(crate) const KEYWORD: &str = "x-operator-secret";

/// What stands in the place of a secret value.
pub(crate) const HIDDEN: &str = "(secret)";

/// A schema some of whose parts are secret.
#[derive(Debug)]
pub(crate) struct Secrets {
    schema: Value,
}

/// The schemas that apply to one part of a value. A part is secret if any of them says so.
///
/// A caller can send a value of another shape, or use a name that only serde knows. So a part to which no schema applies
/// is secret too if the value around it has secret parts.
#[derive(Clone, Debug)]
pub(crate) struct Place<'s> {
    definitions: Option<&'s Map<String, Value>>,
    schemas: Vec<&'s Value>,
    is_secret: bool,
}

impl Secrets {
    /// Returns `None` if no part of the values is secret.
    pub(crate) fn of(schema: Value) -> Option<Self> {
        has_secrets(&schema).then_some(Self { schema })
    }

    /// The place of a whole value.
    pub(crate) fn whole(&self) -> Place<'_> {
        let place = Place {
            definitions: self.schema.get("$defs").and_then(Value::as_object),
            schemas: Vec::new(),
            is_secret: false,
        };
        place.of(std::iter::once(&self.schema))
    }
}

fn has_secrets(schema: &Value) -> bool {
    is_marked(schema) || walk::children(schema).into_iter().any(has_secrets)
}

fn is_marked(schema: &Value) -> bool {
    schema.get(KEYWORD) == Some(&Value::Bool(true))
}

impl<'s> Place<'s> {
    pub(crate) fn is_secret(&self) -> bool {
        self.is_secret
    }

    /// Whether a string, number or Boolean, which is of this JSON type, may be a secret because a value with secret parts
    /// is expected here.
    pub(crate) fn is_misplaced(&self, kind: &str) -> bool {
        let takes = |schema: &&Value| {
            lists_type(schema, kind)
                || kind == "number" && lists_type(schema, "integer")
                || schema.get("const").is_some()
                || schema.get("enum").is_some()
        };
        !self.schemas.iter().any(takes) && self.has_secret_parts()
    }

    /// Whether these schemas, or those that they refer to, mark anything.
    fn has_secret_parts(&self) -> bool {
        let mut seen: Vec<&Value> = Vec::new();
        let mut waiting = self.schemas.clone();
        while let Some(schema) = waiting.pop() {
            if is_marked(schema) {
                return true;
            }
            if !seen.iter().any(|known| std::ptr::eq(*known, schema)) {
                seen.push(schema);
                waiting.extend(walk::children(schema));
                waiting.extend(definitions::name_of(schema).and_then(|name| self.definitions?.get(name)));
            }
        }
        false
    }

    /// The place of a field of an object.
    pub(crate) fn field(&self, name: &str) -> Self {
        self.of(self.schemas.iter().flat_map(|schema| {
            let own = schema.get("properties").and_then(|fields| fields.get(name));
            let patterns = schema.get("patternProperties").and_then(Value::as_object);
            let others = patterns.into_iter().flat_map(Map::values);
            let others = others.chain(schema.get("additionalProperties"));
            own.into_iter().chain(others.filter(move |_| own.is_none()))
        }))
    }

    /// The place of an item of a list.
    pub(crate) fn item(&self, index: usize) -> Self {
        self.of(self.schemas.iter().filter_map(|schema| {
            let fixed = schema.get("prefixItems").and_then(|items| items.get(index));
            fixed.or_else(|| schema.get("items"))
        }))
    }

    /// The place to which these schemas apply, with the schemas that they refer to and consist of.
    fn of(&self, schemas: impl Iterator<Item = &'s Value>) -> Self {
        let mut all: Vec<&Value> = Vec::new();
        let mut waiting: Vec<&Value> = schemas.collect();
        while let Some(schema) = waiting.pop() {
            // A type that consists of itself would otherwise never end.
            if all.iter().any(|known| std::ptr::eq(*known, schema)) {
                continue;
            }
            all.push(schema);
            let named = definitions::name_of(schema).and_then(|name| self.definitions?.get(name));
            waiting.extend(named);
            for keyword in ["allOf", "anyOf", "oneOf"] {
                waiting.extend(schema.get(keyword).and_then(Value::as_array).into_iter().flatten());
            }
            waiting.extend(["if", "then", "else"].iter().filter_map(|keyword| schema.get(keyword)));
        }
        Self {
            definitions: self.definitions,
            is_secret: all.iter().copied().any(is_marked) || all.is_empty() && self.has_secret_parts(),
            schemas: all,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Secrets;

    #[test]
    fn a_part_is_secret_if_any_schema_of_it_says_so() {
        let secrets = Secrets::of(json!({
            "$defs": {
                "Card": { "properties": { "number": { "x-operator-secret": true }, "more": { "$ref": "#/$defs/Card" } } },
                "Loop": { "$ref": "#/$defs/Loop" },
            },
            "properties": {
                "card": { "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/Card" }] },
                "cards": { "prefixItems": [{}], "items": { "$ref": "#/$defs/Card" } },
                "by_name": { "additionalProperties": { "x-operator-secret": true } },
                "loop": { "$ref": "#/$defs/Loop" },
            },
        }))
        .unwrap();
        let whole = secrets.whole();
        assert!(whole.field("card").field("number").is_secret());
        assert!(whole.field("card").field("more").field("number").is_secret());
        assert!(whole.field("cards").item(1).field("number").is_secret());
        assert!(whole.field("by_name").field("any").is_secret());
        for place in [
            whole.field("card"),
            whole.field("loop").field("number"),
            whole.field("cards").item(0).field("number"),
        ] {
            assert!(!place.is_secret(), "{place:?}");
        }
    }

    #[test]
    fn a_part_that_no_schema_names_is_secret_where_others_are() {
        let secrets = Secrets::of(json!({
            "type": "object",
            "properties": {
                "card": { "type": "object", "properties": {
                    "number": { "type": "string", "x-operator-secret": true },
                    "owner": { "type": "object", "properties": { "name": { "type": "string" } } },
                } },
                "either": { "anyOf": [
                    { "type": "string" },
                    { "type": "object", "properties": { "pin": { "x-operator-secret": true } } },
                ] },
            },
        }))
        .unwrap();
        let whole = secrets.whole();
        let card = whole.field("card");
        assert!(whole.field("unknown").is_secret());
        assert!(card.field("NUMBER").is_secret() && card.item(0).is_secret());
        assert!(card.is_misplaced("string") && card.is_misplaced("number"));
        assert!(!card.field("owner").field("unknown").is_secret());
        assert!(!card.field("owner").is_misplaced("string"));
        let either = whole.field("either");
        assert!(!either.is_misplaced("string") && either.is_misplaced("number"));
    }

    #[test]
    fn a_schema_without_secrets_has_none() {
        assert!(Secrets::of(json!({ "properties": { "a": { "type": "string" } } })).is_none());
        // The value of a default is not a schema.
        assert!(Secrets::of(json!({ "default": { "x-operator-secret": true } })).is_none());
    }
}
