//! Makes schemas accept exactly the values that decoding accepts: adds the ranges of number types, and replaces formats
//! that no standard defines.

use serde_json::{Map, Value, json};

use super::walk;

/// The smallest and largest value of the integer type with this format. The formats are schemars' names of Rust's
/// types.
pub(crate) fn bounds(format: &str) -> Option<(Value, Value)> {
    Some(match format {
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "int64" | "int" => (i64::MIN.into(), i64::MAX.into()),
        "uint8" => (0.into(), u8::MAX.into()),
        "uint16" => (0.into(), u16::MAX.into()),
        "uint32" => (0.into(), u32::MAX.into()),
        "uint64" | "uint" => (0.into(), u64::MAX.into()),
        _ => return None,
    })
}

/// The patterns of a date and a time without a time zone, as the common Rust crates print them.
const DATE: &str = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])";
const TIME: &str = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?";

/// The pattern of a date and a time with a time zone. The brackets contain the name of the zone, or the offset again.
pub(crate) fn zoned() -> String {
    format!(r"^{DATE}T{TIME}(Z|[+-]\d{{2}}:\d{{2}})\[[A-Za-z0-9_+:/-]+\]$")
}

/// The pattern of a duration as jiff prints it. The format `duration` does not allow everything that jiff prints: a
/// sign, weeks together with other units, and fractions of a second.
const DURATION: &str = r"^-?P(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d{1,9})?S)?)?$";

/// Makes an output schema allow every value that is printed.
pub(super) fn widen(schema: &mut Value) {
    each(schema, |schema, format| {
        if format == "duration" {
            schema.remove("format");
            schema.entry("pattern").or_insert(DURATION.into());
        }
    });
}

/// Makes an input schema describe exactly what its types accept.
pub(super) fn bound(schema: &mut Value) {
    each(schema, bound_one);
}

/// Replaces formats that no standard defines by keywords of JSON Schema.
pub(super) fn spell_out(schema: &mut Value) {
    each(schema, spell_out_one);
    // `true` is the schema of any value, but several readers expect an object.
    walk::rewrite(schema, &mut |schema| {
        if schema == &Value::Bool(true) {
            *schema = json!({});
        }
    });
}

/// Removes null from the schema of an optional value.
pub(crate) fn refuse_null(schema: &mut Value) {
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    for keyword in ["anyOf", "enum"] {
        if let Some(branches) = schema.get_mut(keyword).and_then(Value::as_array_mut) {
            branches.retain(|branch| !branch.is_null() && branch["type"] != "null");
        }
    }
}

fn each(schema: &mut Value, change: fn(&mut Map<String, Value>, &str)) {
    walk::rewrite(schema, &mut |schema| {
        if let Some(object) = schema.as_object_mut() {
            let format = object
                .get("format")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            change(object, &format);
        }
    });
}

/// `f32::MAX` as it is printed, which is larger than `f32::MAX` itself. Decoding rounds it down.
const LARGEST_FLOAT: f64 = 3.402_823_5e38;

/// schemars' pattern of a decimal number. It allows exponents and more digits than a `rust_decimal` number can have.
const ANY_DECIMAL: &str = r"^-?\d+(\.\d+)?([eE]\d+)?$";

/// The pattern of decimal numbers that `rust_decimal` can represent, up to their number of digits.
pub(crate) const DECIMAL: &str = r"^-?[0-9]{1,28}(\.[0-9]{1,28})?$";

/// A keyword of inputs that is not published, about the digits of a number: `decimal`, `int128` or `uint128`.
pub(crate) const DIGITS: &str = "operatorDigits";

/// Patterns of whole numbers as map keys: schemars' patterns, which allow leading zeros, and the patterns of the keys
/// that are accepted. The schema does not say how large the numbers may be.
const WHOLE_KEYS: [(&str, &str); 2] = [(r"^\d+$", "^(0|[1-9][0-9]*)$"), (r"^-?\d+$", "^(0|-?[1-9][0-9]*)$")];

fn bound_one(schema: &mut Map<String, Value>, format: &str) {
    if schema.get("pattern").is_some_and(|pattern| pattern == ANY_DECIMAL) {
        schema.insert("pattern".into(), DECIMAL.into());
        schema.insert(DIGITS.into(), "decimal".into());
        schema.insert("minimum".into(), json!(-1e28));
        schema.insert("maximum".into(), json!(1e28));
    }
    if let Some(patterns) = schema.get_mut("patternProperties").and_then(Value::as_object_mut) {
        for (any, read) in WHOLE_KEYS {
            if let Some(values) = patterns.remove(any) {
                patterns.insert(read.into(), values);
            }
        }
    }
    let mut promise = |keyword: &str, value: Value| {
        schema.entry(keyword).or_insert(value);
    };
    if let Some((least, most)) = bounds(format) {
        promise("minimum", least);
        promise("maximum", most);
    }
    if matches!(format, "int128" | "uint128") {
        promise(DIGITS, format.into());
    }
    if format == "float" {
        promise("minimum", json!(-LARGEST_FLOAT));
        promise("maximum", json!(LARGEST_FLOAT));
    }
}

fn spell_out_one(schema: &mut Map<String, Value>, format: &str) {
    // If all unit variants are skipped, schemars writes an empty `enum`, which some dialects forbid.
    for keyword in ["oneOf", "anyOf"] {
        if let Some(forms) = schema.get_mut(keyword).and_then(Value::as_array_mut) {
            forms.retain(|form| form["enum"].as_array().is_none_or(|values| !values.is_empty()));
        }
    }
    let mut promise = |pattern: String| {
        schema.entry("pattern").or_insert(pattern.into());
    };
    match format {
        "partial-date-time" => promise(format!("^{DATE}T{TIME}$")),
        "partial-time" => promise(format!("^{TIME}$")),
        "zoned-date-time" => promise(zoned()),
        "ip" => {
            schema.remove("format");
            schema.insert("anyOf".into(), json!([{ "format": "ipv4" }, { "format": "ipv6" }]));
        }
        _ => {}
    }
}
