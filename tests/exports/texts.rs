//! Inputs of a GET: valid values as strings, nearly valid strings, and the values that strings stand for.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value};

/// Strings that look like numbers, and other strings that are easily misread.
const DOUBTFUL: [&str; 28] = [
    "",
    " ",
    "0",
    "-0",
    "5.0",
    "5.5",
    "5e0",
    "50e-1",
    "1e2",
    "1E+2",
    "0.1e1",
    "+5",
    "05",
    ".5",
    "5.",
    " 5",
    "5 ",
    "0x5",
    "5u8",
    "1e400",
    "18446744073709551616",
    "٣",
    "NaN",
    "null",
    "true",
    "True",
    "\"5\"",
    "[5]",
];

/// Objects whose fields are strings, made from valid and nearly valid values.
pub(crate) fn like(valid: BoxedStrategy<Value>, nearly: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let nearly = nearly.prop_filter("a query has names", Value::is_object);
    let doubtful = (valid.clone(), any::<Index>(), select(DOUBTFUL.as_slice())).prop_map(|(mut value, place, text)| {
        let fields = value.as_object_mut().unwrap();
        if !fields.is_empty() {
            let place = place.index(fields.len());
            *fields.values_mut().nth(place).unwrap() = Value::from(text);
        }
        value
    });
    prop_oneof![valid, nearly, doubtful]
        .prop_map(|value| written(&value))
        .boxed()
}

/// Converts each field to a string.
fn written(value: &Value) -> Value {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields = value.as_object().unwrap().iter();
    fields
        .map(|(name, value)| (name.clone(), Value::from(text(value))))
        .collect::<Map<_, _>>()
        .into()
}

/// The values that the strings stand for. A string stands for a number or a boolean if and only if the string is its
/// JSON form.
pub(crate) fn read(texts: &Value, schema: &Value) -> Value {
    let read_one = |(name, text): (&String, &Value)| {
        // If a value is one of several strings, its schema has none of these types.
        let is_json = ["boolean", "integer", "number"]
            .iter()
            .any(|name_of_type| schema["properties"][name]["type"] == *name_of_type);
        let bare = text.as_str().filter(|text| is_json && text.trim() == *text);
        let value = bare.and_then(|text| serde_json::from_str(text).ok());
        (name.clone(), value.unwrap_or_else(|| text.clone()))
    };
    texts
        .as_object()
        .unwrap()
        .iter()
        .map(read_one)
        .collect::<Map<_, _>>()
        .into()
}
