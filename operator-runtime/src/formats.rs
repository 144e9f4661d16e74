//! Schemas of strings in a standard format, for types that have no schema of their own.

use schemars::JsonSchema;

/// A time with its zone (RFC 3339), such as `2026-11-24T09:30:00Z`, in a schema.
///
/// ```
/// use operator_runtime::formats::DateTime;
/// use schemars::JsonSchema;
///
/// # mod rfc3339 { pub fn serialize<S: serde::Serializer>(_: &std::time::SystemTime, s: S) -> Result<S::Ok, S::Error> { s.serialize_str("") } }
/// #[derive(serde::Serialize, JsonSchema)]
/// struct Delivery {
///     /// When it arrives.
///     #[serde(with = "rfc3339")]
///     #[schemars(with = "DateTime")]
///     arrives: std::time::SystemTime,
/// }
/// ```
#[derive(Debug, JsonSchema)]
#[schemars(inline, transparent, description = "A time with its zone, such as 2026-11-24T09:30:00Z.", extend("format" = "date-time"))]
pub struct DateTime(#[allow(dead_code, reason = "only its schema is used")] String);

/// A date (RFC 3339 `full-date`), such as `2026-11-24`, in a schema: see [`DateTime`].
#[derive(Debug, JsonSchema)]
#[schemars(inline, transparent, description = "A date, such as 2026-11-24.", extend("format" = "date"))]
pub struct Date(#[allow(dead_code, reason = "only its schema is used")] String);
