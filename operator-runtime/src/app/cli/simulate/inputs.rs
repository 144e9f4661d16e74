//! The inputs of a simulated call: those that a person typed, completed by values made from the schema, and other inputs
//! that the schema allows too.

use jsonschema::json::SerdeJson;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::app::cli::caller::{Inputs, as_json, json_of, unknown};
use crate::app::desk::mistakes;
use crate::input::{compile, samples_of};
use crate::protocol::method::Method;
use crate::schema::keywords::{lists_type, requires};

/// The inputs of the calls to one endpoint.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) inputs: Inputs,
    /// Inputs with one difference; `None` if the schema allows none that could be found.
    pub(super) other: Option<Inputs>,
}

/// Completes the typed inputs.
///
/// # Errors
/// A sentence that says which input is wrong or cannot be made.
pub(super) fn make(name: &str, method: Method, schema: &Value, typed: &[String]) -> Result<Made, String> {
    let given = Inputs::typed(method, schema, typed)?;
    let validator = compile::<SerdeJson>(schema)
        .map_err(|error| format!("The schema of the inputs of `{name}` cannot be read: {error}."))?;
    let mut whole = as_object(&given, schema);
    refuse_unknown(name, schema, &whole)?;
    for (input, property) in properties(schema) {
        if whole.contains_key(input) {
            continue;
        }
        if let Some(value) = value_of(schema, property, requires(schema, input)) {
            whole.insert(input.clone(), value);
        }
    }
    let mistakes = mistakes(&validator, &Value::from(whole.clone()));
    if !mistakes.is_empty() {
        return Err(format!(
            "The inputs of `{name}` do not fit its schema: type them as `simulate {name} input=value`.{mistakes}"
        ));
    }
    let other = others(schema, &whole).find(|other| validator.is_valid(&Value::from(other.clone())));
    Ok(Made {
        other: other.map(|other| in_form(method, other, &given)),
        inputs: completed(given, whole),
    })
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

/// The inputs as a JSON object, by which their schema judges them. Each search parameter gets the JSON type that its schema
/// names.
fn as_object(inputs: &Inputs, schema: &Value) -> Map<String, Value> {
    match inputs {
        Inputs::Object(fields) => fields
            .iter()
            .map(|(name, json)| (name.clone(), value_in(json)))
            .collect(),
        Inputs::Parameters(pairs) => pairs
            .iter()
            .map(|(name, text)| (name.clone(), value_in(&json_of(&schema["properties"][name], text))))
            .collect(),
    }
}

fn value_in(json: &RawValue) -> Value {
    serde_json::from_str(json.get()).unwrap_or_default()
}

/// The inputs in the form in which the method sends them. Values that a person typed stay as they are written.
fn in_form(method: Method, whole: Map<String, Value>, given: &Inputs) -> Inputs {
    let typed = |name: &String, value: &Value| match given {
        Inputs::Object(fields) => fields.get(name).filter(|json| value_in(json) == *value),
        Inputs::Parameters(_) => None,
    };
    match method {
        Method::Post => Inputs::Object(
            whole
                .into_iter()
                .map(|(name, value)| {
                    let json = typed(&name, &value).cloned();
                    (name, json.unwrap_or_else(|| as_json(&value)))
                })
                .collect(),
        ),
        Method::Get => Inputs::Parameters(whole.into_iter().map(|(name, value)| (name, text_of(value))).collect()),
    }
}

/// The given inputs in the words of the person who typed them, and the made ones.
fn completed(given: Inputs, mut whole: Map<String, Value>) -> Inputs {
    match given {
        Inputs::Object(mut fields) => {
            for (name, value) in whole {
                fields.entry(name).or_insert_with(|| as_json(&value));
            }
            Inputs::Object(fields)
        }
        Inputs::Parameters(mut pairs) => {
            for (name, _) in &pairs {
                whole.remove(name);
            }
            pairs.extend(whole.into_iter().map(|(name, value)| (name, text_of(value))));
            Inputs::Parameters(pairs)
        }
    }
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn refuse_unknown(name: &str, schema: &Value, given: &Map<String, Value>) -> Result<(), String> {
    if schema["additionalProperties"] != false {
        return Ok(());
    }
    let known: Vec<&str> = properties(schema).map(|(known, _)| known.as_str()).collect();
    match given.keys().find(|input| !known.contains(&input.as_str())) {
        None => Ok(()),
        Some(input) => {
            let sentence = format!("`{name}` has no input `{input}`");
            Err(unknown(&sentence, input, "its inputs", &known))
        }
    }
}

/// The example or the default of an input, or else, if the input is required, a value made from its schema.
fn value_of(schema: &Value, property: &Value, is_required: bool) -> Option<Value> {
    let example = property["examples"].get(0).or(property.get("example"));
    let written = example.or(property.get("default")).filter(|value| !value.is_null());
    match written {
        Some(value) => Some(value.clone()),
        None if is_required => valid_samples(schema, property).next(),
        None => None,
    }
}

/// Values made from the schema of one input.
fn valid_samples(schema: &Value, property: &Value) -> impl Iterator<Item = Value> + use<> {
    let mut alone = property.clone();
    if let (Some(alone), Some(definitions)) = (alone.as_object_mut(), schema.get("$defs")) {
        alone.insert("$defs".to_owned(), definitions.clone());
    }
    let validator = compile::<SerdeJson>(&alone).ok();
    let is_valid = move |value: &Value| validator.as_ref().is_some_and(|validator| validator.is_valid(value));
    samples_of(&alone).into_iter().filter(is_valid)
}

/// The inputs with one difference each. A difference in free text comes first, because a server that wrongly acts on the
/// other inputs then does what the given inputs say.
fn others<'v>(schema: &'v Value, whole: &'v Map<String, Value>) -> impl Iterator<Item = Map<String, Value>> {
    let with = move |(name, value): (&String, Option<Value>)| {
        let mut other = whole.clone();
        match value {
            Some(value) => other.insert(name.clone(), value),
            None => other.remove(name),
        };
        other
    };
    let texts = properties(schema).filter(|(_, property)| is_free_text(property));
    let texts = texts.map(|(name, _)| {
        let text = whole.get(name).and_then(Value::as_str).unwrap_or_default();
        (name, Some(json!(format!("{text} again").trim_start())))
    });
    let values = properties(schema).flat_map(|(name, property)| {
        let own = whole.get(name);
        let near = own.and_then(Value::as_i64).into_iter();
        let near = near.flat_map(|number| [number.saturating_add(1), number.saturating_sub(1)]);
        let other = own.and_then(Value::as_bool).map(|own| json!(!own));
        let values = near
            .map(Value::from)
            .chain(other)
            .chain(valid_samples(schema, property));
        let left_out = own.is_some().then_some(None);
        values.map(Some).chain(left_out).map(move |value| (name, value))
    });
    texts.chain(values).map(with).filter(move |other| other != whole)
}

fn is_free_text(property: &Value) -> bool {
    let is_restricted = ["const", "enum", "format", "oneOf", "pattern"]
        .iter()
        .any(|keyword| property.get(*keyword).is_some());
    lists_type(property, "string") && !is_restricted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Inputs, Method, make};

    fn object(inputs: &Inputs) -> String {
        match inputs {
            Inputs::Object(fields) => serde_json::to_string(fields).unwrap(),
            Inputs::Parameters(pairs) => format!("{pairs:?}"),
        }
    }

    #[test]
    fn examples_come_before_made_values_and_optional_inputs_are_left_out() {
        let schema = json!({
            "type": "object",
            "properties": {
                "order_id": { "type": "integer", "examples": [1004] },
                "amount": { "type": "integer", "minimum": 3 },
                "limit": { "type": "integer", "default": 5 },
                "priority": { "$ref": "#/$defs/Priority" },
                "reason": { "type": ["string", "null"] },
            },
            "required": ["order_id", "amount", "priority"],
            "additionalProperties": false,
            "$defs": { "Priority": { "enum": ["low", "high"] } },
        });
        let made = make("refund", Method::Post, &schema, &[]).unwrap();
        assert_eq!(
            object(&made.inputs),
            r#"{"amount":3,"limit":5,"order_id":1004,"priority":"low"}"#
        );
        // A reason is free text, so it is the least harmful difference.
        assert_eq!(
            object(&made.other.unwrap()),
            r#"{"amount":3,"limit":5,"order_id":1004,"priority":"low","reason":"again"}"#
        );
        let made = make("refund", Method::Get, &schema, &["limit=7".to_owned()]).unwrap();
        assert!(object(&made.inputs).starts_with(r#"[("limit", "7"), "#), "{made:?}");
    }

    #[test]
    fn a_number_is_changed_within_its_bounds() {
        let schema = json!({
            "type": "object",
            "properties": { "amount": { "type": "integer", "minimum": 1, "maximum": 2, "examples": [2] } },
            "required": ["amount"],
        });
        let made = make("pay", Method::Post, &schema, &[]).unwrap();
        assert_eq!(object(&made.other.unwrap()), r#"{"amount":1}"#);
        let fixed = json!({ "type": "object", "properties": { "a": { "const": 1 } }, "required": ["a"] });
        assert!(make("pay", Method::Post, &fixed, &[]).unwrap().other.is_none());
    }

    #[test]
    fn texts_with_a_pattern_and_numbers_within_narrow_bounds_are_made() {
        let schema = json!({
            "type": "object",
            "properties": {
                "code": { "type": "string", "pattern": "^[A-Z]{4}-[0-9]{3}$" },
                "from": { "type": "string", "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }] },
                "share": { "type": "number", "minimum": 0, "maximum": 1 },
                "total": { "type": ["string", "number"], "pattern": r"^-?[0-9]{1,28}(\.[0-9]{1,28})?$" },
            },
            "required": ["code", "from", "share", "total"],
        });
        let made = make("pay", Method::Post, &schema, &[]).unwrap();
        assert_eq!(
            object(&made.inputs),
            r#"{"code":"AAAA-111","from":"192.0.2.1","share":0.5,"total":"1"}"#
        );
    }

    #[test]
    fn a_typed_number_stays_as_it_is_written() {
        let schema =
            json!({ "type": "object", "properties": { "wide": { "type": "array" }, "note": { "type": "string" } } });
        let typed = ["wide=[18446744073709551617,1.10]".to_owned(), "wide=2".to_owned()];
        let made = make("pay", Method::Post, &schema, &typed).unwrap();
        let wide = r#""wide":[18446744073709551617,1.10,2]"#;
        assert_eq!(object(&made.inputs), format!("{{{wide}}}"));
        let other = object(&made.other.unwrap());
        assert_eq!(other, format!(r#"{{"note":"again",{wide}}}"#));
    }

    #[test]
    fn a_wrong_input_is_named_with_what_to_type() {
        let schema = json!({
            "type": "object",
            "properties": { "order_id": { "type": "integer" }, "code": { "type": "string", "pattern": "^[A-Z]{4}-[0-9]{3}$", "not": { "pattern": "-" } } },
            "required": ["code"],
            "additionalProperties": false,
        });
        let refused = |typed: &[&str]| {
            let typed: Vec<String> = typed.iter().map(|one| (*one).to_owned()).collect();
            make("refund", Method::Post, &schema, &typed).unwrap_err()
        };
        assert_eq!(
            refused(&["ordr_id=1"]),
            "`refund` has no input `ordr_id`; did you mean `order_id`?"
        );
        assert_eq!(
            refused(&["order_id"]),
            "`order_id` is not an input: write `name=value`."
        );
        let wrong = refused(&["order_id=x", "code=ABCD-123"]);
        assert!(wrong.contains("\n  - order_id: \"x\" is not of type"), "{wrong}");
        let unmade = refused(&[]);
        assert!(
            unmade.contains("type them as `simulate refund input=value`"),
            "{unmade}"
        );
        assert!(unmade.contains("\"code\" is a required property"), "{unmade}");
        let closed = json!({ "type": "object", "additionalProperties": false });
        let refused = make("list", Method::Post, &closed, &["order_id=1".to_owned()]).unwrap_err();
        assert_eq!(refused, "`list` has no input `order_id`; there are none.");
    }
}
