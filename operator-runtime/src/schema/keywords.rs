//! What one schema says of itself: the types that it lists, and the properties that it requires.

use serde_json::Value;

/// Whether a schema lists this JSON type.
pub(crate) fn lists_type(schema: &Value, kind: &str) -> bool {
    match &schema["type"] {
        Value::String(only) => only == kind,
        Value::Array(several) => several.iter().any(|one| one == kind),
        _ => false,
    }
}

/// Whether a schema requires this property.
pub(crate) fn requires(schema: &Value, name: &str) -> bool {
    let mut required = schema["required"].as_array().into_iter().flatten();
    required.any(|one| one == name)
}
