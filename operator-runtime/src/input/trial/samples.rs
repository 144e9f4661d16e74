//! Sample values of a schema: one plain value, and further values that each differ from it at one place.

use serde_json::{Map, Value, json};

use super::scalars;
use crate::schema::{definitions, walk};

/// The name of a field and the text of a choice that no type has.
pub(super) const UNKNOWN: &str = "operator-unknown";

/// How many samples a part of a schema has at most, in addition to those for enums with more variants.
const MOST: usize = 32;

/// How many samples of a map's values each further key has.
const FEW: usize = 4;

/// Keys of a map, whose schema says little about them: texts, booleans, UUIDs and dates are printed like this.
const KEYS: [&str; 4] = ["a", "true", "67e55044-10b1-426f-9247-bb680e5fe0c8", "2026-01-02"];

/// How deep definitions that refer to themselves are followed.
const DEPTH: usize = 3;

/// Samples of a schema. Some constraints, such as `uniqueItems`, are ignored, so some samples may not match the schema.
pub(crate) fn of(schema: &Value) -> Vec<Value> {
    let sampler = Sampler {
        definitions: schema["$defs"].as_object(),
        most: MOST + forms_of_large_enums(schema),
    };
    sampler.samples(schema, DEPTH)
}

/// The forms of all enums that have more than [`MOST`] forms, so that each variant has a sample.
fn forms_of_large_enums(schema: &Value) -> usize {
    let forms = ["oneOf", "anyOf"].map(|keyword| schema[keyword].as_array().map_or(0, Vec::len));
    let inside = walk::children(schema).into_iter().map(forms_of_large_enums);
    forms.into_iter().filter(|forms| *forms > MOST).chain(inside).sum()
}

struct Sampler<'s> {
    definitions: Option<&'s Map<String, Value>>,
    /// How many samples a part of the schema has at most.
    most: usize,
}

impl Sampler<'_> {
    /// The first sample is the plain one. There are none if the recursion ends here.
    fn samples(&self, schema: &Value, depth: usize) -> Vec<Value> {
        let mut samples = self.of_keywords(schema, depth);
        samples.truncate(self.most);
        for sample in scalars::written(schema).take(MOST) {
            if !samples.contains(sample) {
                samples.push(sample.clone());
            }
        }
        samples
    }

    fn of_keywords(&self, schema: &Value, depth: usize) -> Vec<Value> {
        if let Some(name) = definitions::name_of(schema) {
            let definition = self.definitions.and_then(|all| all.get(name));
            return match definition {
                Some(definition) if depth > 0 => {
                    let mut schema = schema.clone();
                    schema.as_object_mut().map(|schema| schema.remove("$ref"));
                    both(self.samples(definition, depth - 1), self.objects(&schema, depth))
                }
                _ => Vec::new(),
            };
        }
        if let Some(only) = schema.get("const") {
            return vec![only.clone()];
        }
        if let Some(values) = schema["enum"].as_array() {
            return values.clone();
        }
        if let Some(all) = schema["allOf"].as_array() {
            let parts = all.iter().map(|part| self.samples(&typed(part, schema), depth));
            return parts.fold(self.objects(schema, depth), both);
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(forms) = schema[keyword].as_array() {
                let beside = self.objects(schema, depth);
                let each = forms
                    .iter()
                    .map(|form| both(self.samples(&typed(form, schema), depth), beside.clone()));
                return in_turn(each.collect());
            }
        }
        match &schema["type"] {
            Value::Array(types) => {
                let each = types.iter().filter_map(Value::as_str);
                in_turn(each.map(|name| self.of_type(name, schema, depth)).collect())
            }
            Value::String(name) => self.of_type(name, schema, depth),
            _ if schema.get("properties").is_some() => self.of_type("object", schema, depth),
            // Any value: the type may well accept only some, and the schema does not say which.
            _ => vec![UNKNOWN.into()],
        }
    }

    /// The samples of the object keywords that are next to `$ref`, `allOf` or forms; none if there are no such
    /// keywords.
    fn objects(&self, schema: &Value, depth: usize) -> Vec<Value> {
        let keywords = ["properties", "patternProperties", "additionalProperties"];
        if keywords.iter().any(|keyword| schema.get(*keyword).is_some()) {
            self.object(schema, depth)
        } else {
            Vec::new()
        }
    }

    fn of_type(&self, name: &str, schema: &Value, depth: usize) -> Vec<Value> {
        match name {
            "null" => vec![Value::Null],
            "boolean" => vec![true.into()],
            "integer" => vec![scalars::whole(schema)],
            // A fraction, because serde_json's `arbitrary_precision` decodes it differently from a whole number.
            "number" => {
                let fraction = scalars::fraction(schema).into_iter();
                fraction.chain([scalars::whole(schema)]).collect()
            }
            "string" => vec![scalars::text(schema).into()],
            "array" => self.list(schema, depth),
            "object" => self.object(schema, depth),
            _ => Vec::new(),
        }
    }

    fn list(&self, schema: &Value, depth: usize) -> Vec<Value> {
        if let Some(items) = schema["prefixItems"].as_array() {
            let items: Vec<_> = items.iter().map(|item| self.samples(item, depth)).collect();
            let plain: Option<Vec<Value>> = items.iter().map(|samples| samples.first().cloned()).collect();
            let Some(plain) = plain else { return Vec::new() };
            let mut lists = vec![Value::from(plain.clone())];
            for (index, samples) in items.into_iter().enumerate() {
                for sample in samples.into_iter().skip(1) {
                    let mut list = plain.clone();
                    list[index] = sample;
                    lists.push(list.into());
                }
            }
            return lists;
        }
        let least = schema["minItems"]
            .as_u64()
            .and_then(|least| usize::try_from(least).ok());
        let length = least.unwrap_or(1).clamp(1, MOST);
        let samples = self.samples(&schema["items"], depth);
        if samples.is_empty() {
            return vec![json!([])];
        }
        samples.into_iter().map(|sample| vec![sample; length].into()).collect()
    }

    fn object(&self, schema: &Value, depth: usize) -> Vec<Value> {
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut plain = Map::new();
        let mut varied = Vec::new();
        // The samples with other keys of a map come last, so that they are cut off first.
        let mut by_key = Vec::new();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let mut samples = self.samples(field, depth).into_iter();
            match samples.next() {
                Some(first) => drop(plain.insert(name.clone(), first)),
                None if required.iter().any(|one| one == name) => return Vec::new(),
                None => {}
            }
            varied.push(samples.map(|sample| (name.clone(), sample)).collect());
        }
        for (pattern, values) in schema["patternProperties"].as_object().into_iter().flatten() {
            if let Some(key) = scalars::of_pattern(pattern, 1) {
                let samples = self.samples(values, depth).into_iter();
                varied.push(samples.map(|sample| (key.clone(), sample)).collect());
            }
        }
        let rest = &schema["additionalProperties"];
        if rest.is_object() {
            let samples = self.samples(rest, depth);
            let mut keys = self.keys(schema, depth).into_iter();
            let first = keys.next().unwrap_or_default();
            let few = samples.iter().take(FEW);
            by_key = few
                .flat_map(|sample| keys.clone().map(|key| (key, sample.clone())))
                .take(MOST)
                .collect();
            varied.push(samples.into_iter().map(|sample| (first.clone(), sample)).collect());
        } else if rest.is_null() && schema.get("unevaluatedProperties").is_none() {
            varied.push(vec![(UNKNOWN.to_owned(), json!(0))]);
        }
        let with = |(name, sample): (String, Value)| {
            let mut object = plain.clone();
            object.insert(name, sample);
            Value::Object(object)
        };
        let mut needed = plain.clone();
        needed.retain(|name, _| required.iter().any(|one| one == name));
        let mut objects = vec![Value::Object(plain.clone())];
        if needed != plain {
            objects.push(needed.into());
        }
        // The variants of a large enum are added to the other differences, so that neither takes the places of the
        // other.
        let (large, small): (Vec<_>, Vec<_>) = varied.into_iter().partition(|samples: &Vec<_>| samples.len() >= MOST);
        let most = MOST - objects.len();
        objects.extend(in_turn(small).into_iter().take(most).map(with));
        objects.extend(in_turn(large).into_iter().take(self.most).map(with));
        objects.extend(by_key.into_iter().map(with));
        objects
    }

    /// Names of additional properties.
    fn keys(&self, schema: &Value, depth: usize) -> Vec<String> {
        let names = schema.get("propertyNames").filter(|names| names.is_object());
        let names = names.map(|names| self.samples(&typed(names, &json!({ "type": "string" })), depth));
        let names: Vec<String> = names
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        if names.is_empty() {
            KEYS.map(str::to_owned).into()
        } else {
            names
        }
    }
}

/// A part of a schema, with the type of the whole if the part has none.
fn typed(part: &Value, whole: &Value) -> Value {
    let mut typed = part.clone();
    let says = ["$ref", "allOf", "anyOf", "const", "enum", "oneOf", "type"];
    let is_open = says.iter().all(|keyword| part.get(*keyword).is_none());
    if let (Some(part), Some(kind)) = (typed.as_object_mut().filter(|_| is_open), whole.get("type")) {
        part.insert("type".to_owned(), kind.clone());
    }
    typed
}

/// The samples of each list, so that no list is cut off before the others begin.
fn in_turn<T>(mut lists: Vec<Vec<T>>) -> Vec<T> {
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    lists.iter_mut().for_each(|list| list.reverse());
    let mut samples = Vec::new();
    for _ in 0..longest {
        samples.extend(lists.iter_mut().filter_map(Vec::pop));
    }
    samples
}

/// Samples that match two schemas. Objects are merged; for other values, the first schema decides.
fn both(first: Vec<Value>, second: Vec<Value>) -> Vec<Value> {
    let (Some(one), Some(other)) = (first.first().cloned(), second.first().cloned()) else {
        return if first.is_empty() { second } else { first };
    };
    let merged = |one: &Value, other: Value| match (one, other) {
        (Value::Object(one), Value::Object(mut other)) => {
            other.extend(one.clone());
            Value::Object(other)
        }
        (one, _) => one.clone(),
    };
    let mut samples: Vec<Value> = first.iter().map(|sample| merged(sample, other.clone())).collect();
    samples.extend(second.into_iter().skip(1).map(|sample| merged(&one, sample)));
    samples
}
