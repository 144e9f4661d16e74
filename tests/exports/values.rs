//! Proptest strategies for values of a JSON Schema, and for values that are slightly wrong.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// The largest whole number that every reader represents exactly: 2^53 - 1.
pub(crate) const LARGEST: i128 = 9_007_199_254_740_991;

/// How deep values of a recursive schema are nested.
const DEPTH: u32 = 3;

/// Values of a schema. The keywords `not` and some formats are not applied, so the caller has to filter the values.
pub(crate) fn of(schema: &Value) -> BoxedStrategy<Value> {
    let definitions = schema["$defs"].as_object().cloned().unwrap_or_default();
    Maker {
        definitions: &definitions,
    }
    .value(schema, DEPTH)
}

/// Values of a schema in which one part is replaced, removed or added.
pub(crate) fn nearly_of(schema: &Value) -> BoxedStrategy<Value> {
    nearly(of(schema))
}

/// Values of which one part is replaced, removed or added.
pub(crate) fn nearly(values: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    (values, any::<prop::sample::Index>(), 0..4_u8, anything())
        .prop_map(|(mut value, place, change, other)| {
            let places = places(&value);
            spoil(&mut value, &places[place.index(places.len())], change, other);
            value
        })
        .boxed()
}

/// The branch, for use at this depth. At the greatest depth, optional parts that contain another value are removed.
fn shallow(branch: &Value, depth: u32) -> Option<Value> {
    let holds_another = |schema: &Value| schema.to_string().contains("$ref");
    let mut branch = branch.clone();
    if depth > 0 {
        return Some(branch);
    }
    let required = branch["required"].clone();
    let is_required = |name: &String| required.as_array().into_iter().flatten().any(|one| one == name);
    if let Some(fields) = branch["properties"].as_object_mut() {
        fields.retain(|name, field| is_required(name) || !holds_another(field));
    }
    (!holds_another(&branch)).then_some(branch)
}

/// The JSON pointers of every part of a value.
fn places(value: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut add = |key: &str, child: &Value| {
        let key = key.replace('~', "~0").replace('/', "~1");
        found.extend(places(child).into_iter().map(|rest| format!("/{key}{rest}")));
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, child)| add(key, child)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, child)| add(&index.to_string(), child)),
        _ => {}
    }
    found
}

fn spoil(value: &mut Value, place: &str, change: u8, other: Value) {
    let Some(part) = value.pointer_mut(place) else { return };
    match (change, part) {
        (0, Value::Object(fields)) => {
            let first = fields.keys().next().cloned();
            first.map(|key| fields.remove(&key));
        }
        (1, Value::Object(fields)) => {
            fields.insert("extra".to_owned(), other);
        }
        (0, Value::Array(items)) => {
            items.pop();
        }
        (1, Value::Array(items)) => items.push(other),
        (2, part @ Value::String(_)) => *part = json!(format!("{}!", part.as_str().unwrap())),
        (2, part @ Value::Number(_)) => *part = json!(part.as_f64().unwrap() * -3.0 - 0.5),
        (_, part) => *part = other,
    }
}

/// Small values of any JSON type.
fn anything() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-9_i64..300).prop_map(Value::from),
        (-1e3..1e3).prop_map(Value::from),
        "[a-c0-9 ]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..3).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
    .boxed()
}

struct Maker<'s> {
    definitions: &'s Map<String, Value>,
}

impl Maker<'_> {
    fn value(&self, schema: &Value, depth: u32) -> BoxedStrategy<Value> {
        let Some(object) = schema.as_object() else {
            return anything();
        };
        if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
            let definition = self.definitions.get(name).expect("the schema has this definition");
            return self.value(definition, depth.saturating_sub(1));
        }
        if let Some(value) = object.get("const") {
            return Just(value.clone()).boxed();
        }
        if let Some(values) = schema["enum"].as_array() {
            return select(values.clone()).boxed();
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(branches) = schema[keyword].as_array() {
                return self.branches(schema, keyword, branches, depth);
            }
        }
        match &schema["type"] {
            Value::Array(types) => {
                let one = |name: &Value| {
                    let mut schema = schema.clone();
                    schema["type"] = name.clone();
                    self.value(&schema, depth)
                };
                proptest::strategy::Union::new(types.iter().map(one)).boxed()
            }
            Value::String(name) => self.of_type(name, schema, depth),
            _ => anything(),
        }
    }

    /// Values of one of the branches, combined with the keywords beside the branches.
    fn branches(&self, schema: &Value, keyword: &str, branches: &[Value], depth: u32) -> BoxedStrategy<Value> {
        // At the greatest depth, only branches that contain no other value of the type are used, so that the recursion
        // ends.
        let mut chosen: Vec<Value> = branches.iter().filter_map(|branch| shallow(branch, depth)).collect();
        if chosen.is_empty() {
            chosen = branches.to_vec();
        }
        let mut rest = schema.clone();
        rest.as_object_mut().unwrap().remove(keyword);
        let rest = if rest["properties"].is_object() {
            self.value(&rest, depth)
        } else {
            Just(json!({})).boxed()
        };
        let typed = |branch: &Value| {
            let mut branch = branch.clone();
            if branch.get("type").is_none() && branch.get("format").is_some() {
                branch["type"] = schema["type"].clone();
            }
            self.value(&branch, depth)
        };
        let branch = proptest::strategy::Union::new(chosen.iter().map(typed));
        (rest, branch)
            .prop_map(|(rest, mut branch)| {
                if let (Some(fields), Value::Object(rest)) = (branch.as_object_mut(), rest) {
                    for (name, value) in rest {
                        fields.entry(name).or_insert(value);
                    }
                }
                branch
            })
            .boxed()
    }

    fn of_type(&self, name: &str, schema: &Value, depth: u32) -> BoxedStrategy<Value> {
        match name {
            "null" => Just(Value::Null).boxed(),
            "boolean" => any::<bool>().prop_map(Value::from).boxed(),
            "integer" => integer(schema),
            "number" => number(schema),
            "string" => text(schema),
            "array" => self.list(schema, depth),
            "object" => self.object(schema, depth),
            other => panic!("no type `{other}`"),
        }
    }

    fn list(&self, schema: &Value, depth: u32) -> BoxedStrategy<Value> {
        if let Some(prefix) = schema["prefixItems"].as_array() {
            let items: Vec<_> = prefix.iter().map(|item| self.value(item, depth)).collect();
            return items.prop_map(Value::from).boxed();
        }
        let bound = |keyword: &str| schema[keyword].as_u64().map(|bound| usize::try_from(bound).unwrap());
        let least = bound("minItems").unwrap_or(0);
        if depth == 0 && least == 0 {
            return Just(json!([])).boxed();
        }
        let most = bound("maxItems").unwrap_or(least + 3);
        prop::collection::vec(self.value(&schema["items"], depth.saturating_sub(1)), least..=most)
            .prop_map(Value::from)
            .boxed()
    }

    fn object(&self, schema: &Value, depth: u32) -> BoxedStrategy<Value> {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let mut fields: BoxedStrategy<Vec<(String, Value)>> = Just(Vec::new()).boxed();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let value = self.value(field, depth);
            let value = if required.contains(&json!(name)) {
                value.prop_map(Some).boxed()
            } else {
                prop::option::of(value).boxed()
            };
            let name = name.clone();
            fields = (fields, value)
                .prop_map(move |(mut fields, value)| {
                    fields.extend(value.map(|value| (name.clone(), value)));
                    fields
                })
                .boxed();
        }
        let names = schema["patternProperties"]
            .as_object()
            .and_then(|patterns| patterns.keys().next());
        let more = match (names, &schema["additionalProperties"]) {
            (Some(pattern), _) => pairs(
                matching(pattern),
                self.value(&schema["patternProperties"][pattern], depth),
            ),
            // A map may contain itself, so at the greatest depth it is empty.
            (None, Value::Object(_)) if depth == 0 => Just(Vec::new()).boxed(),
            (None, Value::Object(_)) => pairs("[x-z]{1,3}".boxed(), self.value(&schema["additionalProperties"], depth)),
            // Field names that the schema does not know. An open schema ignores them.
            (None, Value::Null) if schema.get("unevaluatedProperties").is_none() => {
                pairs("[x-z]{3}".boxed(), anything())
            }
            _ => Just(Vec::new()).boxed(),
        };
        (fields, more)
            .prop_map(|(fields, more)| more.into_iter().chain(fields).collect::<Map<_, _>>().into())
            .boxed()
    }
}

fn pairs(names: BoxedStrategy<String>, values: BoxedStrategy<Value>) -> BoxedStrategy<Vec<(String, Value)>> {
    prop::collection::vec((names, values), 0..3).boxed()
}

fn integer(schema: &Value) -> BoxedStrategy<Value> {
    let bound = |keyword: &str| {
        schema[keyword]
            .as_i64()
            .map(i128::from)
            .or(schema[keyword].as_u64().map(i128::from))
    };
    // A schema without a bound is of a wider type, whose bounds are not published.
    let least = bound("minimum").unwrap_or(-LARGEST);
    let most = bound("maximum").unwrap_or(LARGEST);
    let plain =
        |number: i128| u64::try_from(number).map_or_else(|_| json!(i64::try_from(number).unwrap()), Value::from);
    let near = least.max(-100)..=most.min(least.max(-100) + 200);
    prop_oneof![
        3 => (least..=most).prop_map(plain),
        3 => near.clone().prop_map(plain),
        1 => Just(plain(least)),
        1 => Just(plain(most)),
        // The same number in a different notation (JSON Schema core §4.2.3).
        1 => near.prop_map(|number| json!(i32::try_from(number).map(f64::from).unwrap_or_default())),
        1 => Just(if least <= 0 && most >= 0 { json!(-0.0) } else { plain(most) }),
    ]
    .boxed()
}

fn number(schema: &Value) -> BoxedStrategy<Value> {
    let bound = |keyword: &str| schema[keyword].as_f64();
    let least = bound("minimum").or(bound("exclusiveMinimum")).unwrap_or(-1e15);
    let most = bound("maximum").or(bound("exclusiveMaximum")).unwrap_or(1e15);
    let step = bound("multipleOf");
    let small = least.max(-1e3)..=most.min(1e3);
    prop_oneof![(least..=most).boxed(), small.boxed()]
        .prop_map(move |number| json!(step.map_or(number, |step| (number / step).floor() * step)))
        .boxed()
}

fn text(schema: &Value) -> BoxedStrategy<Value> {
    let strategy = match schema["format"].as_str() {
        Some("date") => "20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])",
        Some("date-time") => {
            "20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[01]):[0-5][0-9])"
        }
        Some("duration") => "PT[1-9][0-9]{0,3}[HMS]",
        Some("email") => "[a-zéß東]{1,8}@[a-z]{1,8}\\.com",
        Some("ipv4") => "(1?[0-9]{1,2}\\.){3}1?[0-9]",
        Some("ipv6") => "([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}",
        Some("uri") => "https://[a-z]{1,8}\\.example(/[a-z0-9]{1,4}){0,2}(\\?[a-z]=[a-z0-9]{0,4})?",
        Some("uuid") => "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        _ => {
            if let Some(pattern) = schema["pattern"].as_str() {
                return matching(pattern).prop_map(Value::from).boxed();
            }
            let bound = |keyword: &str, or: u64| usize::try_from(schema[keyword].as_u64().unwrap_or(or)).unwrap();
            let (least, most) = (bound("minLength", 0), bound("maxLength", 6));
            return prop::collection::vec(any::<char>(), least..=most.max(least))
                .prop_map(|letters| Value::from(letters.into_iter().collect::<String>()))
                .boxed();
        }
    };
    strategy.prop_map(Value::from).boxed()
}

/// Strings that match a pattern. Anchors are removed, because proptest always matches whole strings. `\d` is replaced
/// by ASCII digits.
fn matching(pattern: &str) -> BoxedStrategy<String> {
    // These are the patterns of map keys that are numbers. schemars' schema does not limit such keys, so small ones are
    // made.
    let plain = match pattern {
        "^(0|[1-9][0-9]*)$" => "0|[1-9][0-9]{0,3}".to_owned(),
        "^(0|-?[1-9][0-9]*)$" => "0|-?[1-9][0-9]?".to_owned(),
        other => other
            .trim_start_matches('^')
            .trim_end_matches('$')
            // Days above 28 are left out, because the pattern of a date allows 31 June.
            .replace(r"(0[1-9]|[12]\d|3[01])", "(0[1-9]|1[0-9]|2[0-8])")
            .replace(r"\d", "[0-9]"),
    };
    proptest::string::string_regex(&plain)
        .expect("a pattern that proptest reads")
        .boxed()
}
