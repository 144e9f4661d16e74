//! JSON Schema of types and of inputs; the only file that names schemars' generator.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

use super::definitions::{self, Inline, Shared};
use super::exact;
use crate::endpoint::{Endpoint, Method};
use crate::input::{Constraint, Input, Number};

/// The schema of what a caller sends, its named types as `$defs`.
pub(crate) fn of_input<T: JsonSchema>() -> Schema {
    let mut schema = generate::<T>(SchemaSettings::draft2020_12().for_deserialize());
    exact::bound(&mut schema);
    Schema::try_from(schema).unwrap_or_default()
}

/// The schema of what a handler returns, its named types as `$defs`.
pub(crate) fn of_output<T: JsonSchema>() -> Schema {
    let mut schema = generate::<T>(SchemaSettings::draft2020_12().for_serialize());
    exact::widen(&mut schema);
    Schema::try_from(schema).unwrap_or_default()
}

fn generate<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let mut generator = settings.into_generator();
    // As if it were a field: a type that holds itself is a definition then, and refers to no root that it is not at.
    let mut schema = generator.subschema_for::<T>();
    let definitions = generator.take_definitions(true);
    if !definitions.is_empty() {
        schema.insert("$defs".into(), definitions.into());
    }
    let mut schema = schema.to_value();
    exact::spell_out(&mut schema);
    schema
}

/// The schema of one input with all that its options say, by itself.
pub(crate) fn of_property(input: &Input) -> Value {
    definitions::inline(described(input), Inline::NotRecursive)
}

/// The object that an endpoint takes: every input a property, nothing else allowed; by itself.
#[cfg(feature = "cli")]
pub(crate) fn of_inputs(endpoint: &Endpoint) -> Value {
    definitions::inline(with_definitions(endpoint), Inline::UsedOnce)
}

/// The same, with every named type as a definition.
pub(crate) fn with_definitions(endpoint: &Endpoint) -> Value {
    let mut properties = Map::new();
    let mut required: Vec<Value> = Vec::new();
    let mut shared = Shared::default();
    for input in endpoint.inputs {
        let mut schema = described(input);
        if input.flatten.is_some() {
            schema = definitions::resolved_root(schema);
        }
        shared.hoist(&mut schema, "");
        if input.flatten.is_some() {
            if let Some(Value::Object(fields)) = schema.get_mut("properties").map(Value::take) {
                properties.extend(fields.into_iter().map(|(name, mut field)| {
                    if endpoint.method == Method::Get {
                        // One text is never null: the parameter is left out.
                        exact::refuse_null(&mut field);
                    }
                    (name, field)
                }));
            }
            required.extend(schema["required"].as_array().into_iter().flatten().cloned());
        } else {
            properties.insert(input.name.to_owned(), schema);
            if input.is_required() {
                required.push(input.name.into());
            }
        }
    }
    let mut object = Map::new();
    object.insert("type".into(), "object".into());
    object.insert("properties".into(), properties.into());
    if !required.is_empty() {
        object.insert("required".into(), required.into());
    }
    object.insert("additionalProperties".into(), false.into());
    let definitions = shared.into_definitions();
    if !definitions.is_empty() {
        object.insert("$defs".into(), definitions.into());
    }
    object.into()
}

fn described(input: &Input) -> Value {
    let mut schema = (input.schema)();
    let object = schema.ensure_object();
    if !input.description.is_empty() {
        object.insert("description".into(), input.description.into());
    }
    for constraint in input.constraints {
        let (keyword, value) = keyword_of(*constraint);
        object.insert(keyword.into(), value);
    }
    if let Some(default) = input.default {
        object.insert("default".into(), default());
    }
    if let Some(example) = input.example {
        object.insert("examples".into(), Value::Array(vec![example()]));
    }
    schema.to_value()
}

fn keyword_of(constraint: Constraint) -> (&'static str, Value) {
    match constraint {
        Constraint::Min(number) => ("minimum", number_value(number)),
        Constraint::Max(number) => ("maximum", number_value(number)),
        Constraint::ExclusiveMin(number) => ("exclusiveMinimum", number_value(number)),
        Constraint::ExclusiveMax(number) => ("exclusiveMaximum", number_value(number)),
        Constraint::MultipleOf(number) => ("multipleOf", number_value(number)),
        Constraint::MinLength(length) => ("minLength", length.into()),
        Constraint::MaxLength(length) => ("maxLength", length.into()),
        Constraint::Pattern(pattern) => ("pattern", pattern.into()),
        Constraint::Format(format) => ("format", format.into()),
        Constraint::MinItems(length) => ("minItems", length.into()),
        Constraint::MaxItems(length) => ("maxItems", length.into()),
        Constraint::UniqueItems => ("uniqueItems", true.into()),
    }
}

fn number_value(number: Number) -> Value {
    match number {
        Number::Integer(integer) => serde_json::Number::from_i128(integer).map_or(Value::Null, Value::Number),
        Number::Float(float) => float.into(),
    }
}
