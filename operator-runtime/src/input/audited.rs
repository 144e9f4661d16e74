//! Inputs and answers as the audit shows them: JSON without spaces, with fields sorted by name, and `"(secret)"` in place
//! of each secret value.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Input;
use super::bound::BoundInputs;
use super::digits::Decimal;
use super::document::Document;
use super::given::Given;
use super::identity::{write_separator, write_string, write_value};
use crate::protocol::request::Content;
use crate::schema::secrets::Secrets;

/// The secret parts of an endpoint's inputs, by the names of the inputs.
#[derive(Debug, Default)]
pub(crate) struct InputSecrets(BTreeMap<String, Secrets>);

impl InputSecrets {
    pub(crate) fn of(inputs: &[Input]) -> Self {
        let mut secrets = BTreeMap::new();
        let mut add = |name: &str, schema: Value| {
            secrets.extend(Secrets::of(schema).map(|found| (name.to_owned(), found)));
        };
        for input in inputs {
            let schema = input.property();
            if input.flatten.is_none() {
                add(input.name, schema);
                continue;
            }
            let fields = schema["properties"].as_object().into_iter().flatten();
            for (name, field) in fields {
                let mut field = field.clone();
                // The field may refer to the definitions of the whole schema.
                if let (Some(field), Some(definitions)) = (field.as_object_mut(), schema.get("$defs")) {
                    field.insert("$defs".to_owned(), definitions.clone());
                }
                add(name, field);
            }
        }
        Self(secrets)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The place of a wrong value, as a problem names it, up to the first secret part: inside it, the keys of a map are
    /// secret as well.
    pub(crate) fn shown_place<'p>(&self, place: &'p str) -> &'p str {
        let inside = |name: &str| place.strip_prefix(name).filter(|rest| rest.starts_with(['.', '[']));
        let input = self.0.iter().find_map(|(name, secrets)| Some((inside(name)?, secrets)));
        let Some((mut rest, secrets)) = input else { return place };
        let mut part = secrets.whole();
        while !part.is_secret() && !rest.is_empty() {
            let (next, after) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((index, after)) => (index.parse().ok().map(|index| part.item(index)), after),
                None => {
                    let Some(name) = rest.strip_prefix('.') else { break };
                    let end = name.find(['.', '[']).unwrap_or(name.len());
                    (Some(part.field(&name[..end])), &name[end..])
                }
            };
            let Some(next) = next else { break };
            (part, rest) = (next, after);
        }
        &place[..place.len() - rest.len()]
    }
}

/// The inputs that the caller sent, in about `room` bytes: the longest inputs are left out if all together take more. `None`
/// if the inputs cannot be read. A name that is not that of an input is left out.
pub(crate) fn inputs(bound: &BoundInputs, secrets: &InputSecrets, content: &Content, room: usize) -> Option<String> {
    let mut given = Given::of(bound, content).ok()?;
    let mut fields: Vec<(&str, &str)> = bound
        .names()
        .filter_map(|name| Some((name, given.take_field(name)?.get())))
        .collect();
    fields.sort_unstable_by_key(|(_, json)| json.len());
    let mut left = room;
    let mut written: Vec<(&str, String)> = fields
        .into_iter()
        .map(|(name, json)| {
            let text = field(json, secrets.0.get(name), left);
            left = left.saturating_sub(text.len());
            (name, text)
        })
        .collect();
    written.sort_unstable();
    let mut text = String::from("{");
    for (name, value) in written {
        write_separator(text.len() - 1, &mut text);
        write_string(name, &mut text);
        text.push(':');
        text.push_str(&value);
    }
    text.push('}');
    Some(text)
}

/// The value of one input, unless it takes more than `room` bytes.
fn field(json: &str, secrets: Option<&Secrets>, room: usize) -> String {
    if json.len() > room && !secrets.is_some_and(|secrets| secrets.whole().is_secret()) {
        return left_out(json.len());
    }
    // A value that cannot be read has, for example, a number that no type can hold. The call is refused for the same reason.
    let text = value(json, secrets).unwrap_or_else(|| "null".to_owned());
    // `"(secret)"` may be longer than the value in whose place it stands, and so may the plain digits of `1e39`.
    if text.len() > room { left_out(text.len()) } else { text }
}

/// What stands in the place of a value that is too long.
pub(crate) fn left_out(bytes: usize) -> String {
    Value::from(format!("(left out: {bytes} bytes)")).to_string()
}

/// A JSON text. `None` if it cannot be read, for example because it has too many levels.
pub(crate) fn value(json: &str, secrets: Option<&Secrets>) -> Option<String> {
    let document = Document::of(json).ok()?;
    let mut text = String::with_capacity(json.len());
    write_value(
        document.root(),
        secrets.map(Secrets::whole).as_ref(),
        write_plain_number,
        &mut text,
    );
    Some(text)
}

/// Writes a number with all its digits and without an exponent, unless it would have more than 40 digits: `1.50e3` as
/// `1500`. People look for a number as they write it.
fn write_plain_number(number: &str, text: &mut String) {
    const MOST: i64 = 40;
    let Some(Decimal { digits, exponent }) = Decimal::of(number) else {
        return text.push_str(number);
    };
    let sign = if number.starts_with('-') { "-" } else { "" };
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    // How many digits are in front of the point.
    let whole = length.saturating_add(exponent);
    let plain = match usize::try_from(whole) {
        _ if digits.is_empty() => "0".to_owned(),
        _ if exponent != 0 && length.saturating_add(exponent.saturating_abs()) > MOST => {
            format!("{sign}{digits}e{exponent}")
        }
        Ok(_) if exponent >= 0 => format!("{sign}{digits}{}", zeros(exponent)),
        Ok(whole @ 1..) => format!("{sign}{}.{}", &digits[..whole], &digits[whole..]),
        _ => format!("{sign}0.{}{digits}", zeros(whole.saturating_neg())),
    };
    text.push_str(&plain);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::input::JsonInput;
    use crate::protocol::method::Method;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        let of = |number: &str| value(number, None).unwrap();
        for (written, plain) in [
            ("1004", "1004"),
            ("1.50e3", "1500"),
            ("1500", "1500"),
            ("12.50", "12.5"),
            ("-0.050", "-0.05"),
            ("125e-1", "12.5"),
            ("-0", "0"),
            ("1e300", "1e300"),
            ("1e-300", "1e-300"),
            (
                "340282366920938463463374607431768211455",
                "340282366920938463463374607431768211455",
            ),
        ] {
            assert_eq!(of(written), plain, "{written}");
        }
    }

    #[test]
    fn inputs_are_sorted_and_short_and_secrets_are_hidden() {
        let inputs_of_endpoint = [
            <u64 as JsonInput>::INPUT.named("order", "The order."),
            <Option<String> as JsonInput>::INPUT
                .named("iban", "The account.")
                .secret(),
        ];
        let bound = BoundInputs::of(Method::Post, &inputs_of_endpoint).unwrap();
        let secrets = InputSecrets::of(&inputs_of_endpoint);
        let shown = |body: &'static str| inputs(&bound, &secrets, &Content::Body(body.into()), 100);
        assert_eq!(
            shown(r#"{ "order": 5.0, "iban": "DE02", "more": "left out" }"#).unwrap(),
            r#"{"iban":"(secret)","order":5}"#
        );
        assert_eq!(
            shown(r#"{"order":{"b":1,"a":[]}}"#).unwrap(),
            r#"{"order":{"a":[],"b":1}}"#
        );
        assert_eq!(shown("[]"), None);
        let spaces = " ".repeat(200);
        let spaced = format!(r#"{{{spaces}"order":{spaces}5{spaces}}}"#);
        let long = format!(r#"{{"iban":"{spaces}","order":"{spaces}"}}"#);
        let longer = format!(r#"{{"order":[{}0]}}"#, "1e39,".repeat(15));
        for (body, expected) in [
            (spaced, r#"{"order":5}"#),
            (long, r#"{"iban":"(secret)","order":"(left out: 202 bytes)"}"#),
            (longer, r#"{"order":"(left out: 618 bytes)"}"#),
        ] {
            let content = Content::Body(body.into());
            assert_eq!(inputs(&bound, &secrets, &content, 100).unwrap(), expected);
        }
        for (place, expected) in [
            ("order.b", "order.b"),
            ("iban", "iban"),
            ("iban.hunter2", "iban"),
            ("iban[0]", "iban"),
        ] {
            assert_eq!(secrets.shown_place(place), expected);
        }
        let to = json!({ "properties": {
            "pins": { "items": { "x-operator-secret": true } },
            "owner": { "properties": { "name": {} } },
        } });
        let secrets = InputSecrets(BTreeMap::from([("to".to_owned(), Secrets::of(to).unwrap())]));
        for (place, expected) in [
            ("to.owner.name", "to.owner.name"),
            ("to.pins[12].hunter2", "to.pins[12]"),
            ("to.pins[é].a", "to.pins"),
            ("to.owner[0]é", "to.owner[0]"),
            ("to.owner[", "to.owner"),
            ("to.hunter2.a", "to.hunter2"),
            ("to.", "to."),
            ("to", "to"),
            ("tomorrow.a", "tomorrow.a"),
        ] {
            assert_eq!(secrets.shown_place(place), expected);
        }
        assert_eq!(shown(r#"{"order":1e999}"#).unwrap(), r#"{"order":null}"#);
        let whole = Secrets::of(json!({ "properties": {
            "iban": { "x-operator-secret": true },
            "a": { "type": "string" },
        } }));
        assert_eq!(
            value(r#"{"iban":{"a":1},"a":"b","IBAN":"DE02"}"#, whole.as_ref()).unwrap(),
            r#"{"IBAN":"(secret)","a":"b","iban":"(secret)"}"#
        );
        assert_eq!(value(r#""DE02""#, whole.as_ref()).unwrap(), r#""(secret)""#);
    }
}
