//! Sample values of a schema: one plain value, and further values that each differ from it at one place.

use serde_json::{Map, Value, json};

use crate::schema::{definitions, walk};

/// The name of a field and the text of a choice that no type has.
pub(super) const UNKNOWN: &str = "operator-unknown";

/// How many samples a part of a schema has at most, in addition to those for enums with more variants.
const MOST: usize = 32;

/// How deep definitions that refer to themselves are followed.
const DEPTH: usize = 3;

/// Samples of a schema. Constraints such as `pattern` and `not` are ignored, so some samples may not match the schema.
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
            let parts = all.iter().map(|part| self.samples(part, depth));
            return parts.fold(self.objects(schema, depth), both);
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(forms) = schema[keyword].as_array() {
                let beside = self.objects(schema, depth);
                let each = forms.iter().map(|form| both(self.samples(form, depth), beside.clone()));
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
        if schema.get("properties").is_some() || schema.get("additionalProperties").is_some() {
            self.object(schema, depth)
        } else {
            Vec::new()
        }
    }

    fn of_type(&self, name: &str, schema: &Value, depth: usize) -> Vec<Value> {
        match name {
            "null" => vec![Value::Null],
            "boolean" => vec![true.into()],
            "integer" => vec![number(schema)],
            // A fraction, because serde_json's `arbitrary_precision` decodes it differently from a whole number.
            "number" => vec![json!(1.5), number(schema)],
            "string" => vec![text(schema).into()],
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
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let mut samples = self.samples(field, depth).into_iter();
            match samples.next() {
                Some(first) => drop(plain.insert(name.clone(), first)),
                None if required.iter().any(|one| one == name) => return Vec::new(),
                None => {}
            }
            varied.push(samples.map(|sample| (name.clone(), sample)).collect());
        }
        let rest = &schema["additionalProperties"];
        if rest.is_object() {
            let samples = self.samples(rest, depth).into_iter();
            varied.push(samples.map(|sample| ("a".to_owned(), sample)).collect());
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
        objects
    }
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

fn number(schema: &Value) -> Value {
    let bound = |keyword: &str| schema[keyword].as_f64();
    let least = bound("minimum").or(bound("exclusiveMinimum").map(|least| least + 1.0));
    let most = bound("maximum").or(bound("exclusiveMaximum").map(|most| most - 1.0));
    let step = bound("multipleOf").unwrap_or(1.0);
    let number = step.max(least.unwrap_or(step)).min(most.unwrap_or(f64::MAX));
    #[allow(
        clippy::cast_possible_truncation,
        reason = "samples are small, and others are refused by the schema"
    )]
    if number.fract() == 0.0 {
        json!(number as i64)
    } else {
        json!(number)
    }
}

fn text(schema: &Value) -> String {
    let known = match schema["format"].as_str().unwrap_or_default() {
        "date" => "2026-01-02",
        "date-time" => "2026-01-02T03:04:05Z",
        "partial-date-time" => "2026-01-02T03:04:05",
        "time" => "03:04:05Z",
        "partial-time" => "03:04:05",
        "duration" => "PT1M",
        "email" => "ana@example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "uri" => "https://example.com/",
        "uuid" => "67e55044-10b1-426f-9247-bb680e5fe0c8",
        _ => {
            let length = schema["minLength"].as_u64().unwrap_or(1).clamp(1, 64);
            return "a".repeat(usize::try_from(length).unwrap_or(1));
        }
    };
    known.to_owned()
}
