//! JSON Schema of types; the only file that names schemars' generator.

pub(crate) mod definitions;
pub(crate) mod exact;
pub(crate) mod walk;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

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
