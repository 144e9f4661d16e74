//! What one schema says of itself: the types that it lists, the properties that it requires, and which keywords are bounds.

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

/// Whether the first of two bounds is the stricter one, for a keyword that is a bound.
#[cfg(feature = "cli")]
pub(crate) fn stricter(keyword: &str) -> Option<fn(&f64, &f64) -> bool> {
    match keyword {
        "exclusiveMinimum" | "minContains" | "minItems" | "minLength" | "minProperties" | "minimum" => Some(f64::gt),
        "exclusiveMaximum" | "maxContains" | "maxItems" | "maxLength" | "maxProperties" | "maximum" => Some(f64::lt),
        _ => None,
    }
}
