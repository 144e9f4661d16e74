//! Generates the JSON Schemas of types. This is the only file that uses schemars' generator.

pub(crate) mod choices;
pub(crate) mod definitions;
pub(crate) mod exact;
pub(crate) mod keywords;
pub(crate) mod names;
pub(crate) mod published;
pub(crate) mod secrets;
pub(crate) mod walk;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// The schema of an input that a caller sends, with named types in `$defs`.
pub(crate) fn of_input<T: JsonSchema>() -> Schema {
    let mut schema = generate::<T>(SchemaSettings::draft2020_12().for_deserialize());
    exact::bound(&mut schema);
    Schema::try_from(schema).unwrap_or_default()
}

/// The schema of an output that a handler returns, with named types in `$defs`.
pub(crate) fn of_output<T: JsonSchema>() -> Schema {
    let mut schema = generate::<T>(SchemaSettings::draft2020_12().for_serialize());
    exact::widen(&mut schema);
    Schema::try_from(schema).unwrap_or_default()
}

fn generate<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let mut generator = settings.into_generator();
    // The schema is generated as a subschema, so that a recursive type becomes a definition. Otherwise it would refer
    // to `#`, the root, which is a different schema in the manifest.
    let schema = generator.subschema_for::<T>();
    let definitions = generator.take_definitions(true);
    let mut schema = schema.to_value();
    names::by_path(&mut schema, definitions, &format!("{generator:?}"));
    exact::spell_out(&mut schema);
    schema
}
