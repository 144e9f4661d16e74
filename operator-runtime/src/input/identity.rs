//! The inputs that identify an operation, as text: equal inputs give equal text, however the caller writes them.
//!
//! The text is JSON without spaces. The fields of each object are sorted by name, and strings are written with as few
//! escapes as possible. A number is its exact decimal digits, without zeros at either end, and then the exponent, unless
//! that is 0: `1`, `1.0` and `10e-1` are `1`, and 1500 is `15e2`. No digit is rounded, because two large numbers must
//! not become one operation (RFC 8785 would round them to an `f64`). A UUID is its 32 digits, in lower case.

use std::borrow::Cow;
use std::fmt::Write as _;

use jsonschema::json::Node as _;

use super::Input;
use super::bound::BoundInputs;
use super::digits::Decimal;
use super::document::{Document, Node};
use super::found::Found;
use super::given::Given;
use super::sentence;
use crate::problem::Error;
use crate::protocol::request::Content;
use crate::schema::secrets::{HIDDEN, Place};

/// The inputs called `names` as the text of one object. An input that is left out has its default, or else null.
///
/// # Errors
/// 400 if the content is not an object, or if one of these inputs could be read in two ways, such as an object with the
/// same field twice.
pub(crate) fn identity(
    bound: &BoundInputs,
    inputs: &[Input],
    names: &[&str],
    content: &Content,
) -> Result<String, Error> {
    let mut given = Given::of(bound, content)?;
    let mut found = Found::default();
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let mut text = String::from("{");
    for (index, name) in sorted.into_iter().enumerate() {
        let default = || {
            let input = inputs.iter().find(|input| input.name == name);
            let default = input.and_then(|input| input.default).map(|default| default());
            Cow::<str>::Owned(default.unwrap_or_default().to_string())
        };
        let value = given
            .take_field(name)
            .map_or_else(default, |raw| Cow::Borrowed(raw.get()));
        write_separator(index, &mut text);
        write_string(name, &mut text);
        text.push(':');
        match Document::of(&value) {
            Ok(document) => match document.root().as_string() {
                Some(uuid) if bound.is_uuid(name) => write_string(&digits_of(&uuid), &mut text),
                _ => write_value(document.root(), None, write_number, &mut text),
            },
            Err(why) => found.push(|| sentence::unreadable(name, &why)),
        }
    }
    text.push('}');
    found.into_result().map(|()| text)
}

/// The digits of a UUID, which may have hyphens, braces and a prefix (RFC 9562 §4, RFC 8141).
fn digits_of(uuid: &str) -> String {
    let uuid = uuid.to_lowercase();
    let digits = uuid.strip_prefix("urn:uuid:").unwrap_or(&uuid);
    digits.replace(['-', '{', '}'], "")
}

/// Writes a value: [`HIDDEN`] in place of each secret part, and numbers by `write_number`. The recursion ends, because a
/// document has at most 127 levels.
pub(super) fn write_value(
    value: Node<'_>,
    place: Option<&Place<'_>>,
    write_number: fn(&str, &mut String),
    text: &mut String,
) {
    let is_misplaced = |place: &Place<'_>| kind_of_scalar(value).is_some_and(|kind| place.is_misplaced(kind));
    if place.is_some_and(|place| place.is_secret() || is_misplaced(place)) {
        return write_string(HIDDEN, text);
    }
    if value.is_object() {
        let mut members: Vec<_> = value.members().collect();
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        text.push('{');
        for (index, (name, value)) in members.into_iter().enumerate() {
            write_separator(index, text);
            write_string(&name, text);
            text.push(':');
            write_value(
                value,
                place.map(|place| place.field(&name)).as_ref(),
                write_number,
                text,
            );
        }
        text.push('}');
    } else if value.as_array().is_some() {
        text.push('[');
        for (index, item) in value.items().enumerate() {
            write_separator(index, text);
            write_value(item, place.map(|place| place.item(index)).as_ref(), write_number, text);
        }
        text.push(']');
    } else if let Some(string) = value.as_string() {
        write_string(&string, text);
    } else if value.is_number() {
        write_number(value.written().unwrap_or_default(), text);
    } else {
        text.push_str(value.written().unwrap_or_default());
    }
}

/// The JSON type of a string, number or Boolean.
fn kind_of_scalar(value: Node<'_>) -> Option<&'static str> {
    if value.as_string().is_some() {
        Some("string")
    } else if value.is_number() {
        Some("number")
    } else {
        matches!(value.written(), Some("true" | "false")).then_some("boolean")
    }
}

pub(super) fn write_separator(index: usize, text: &mut String) {
    if index > 0 {
        text.push(',');
    }
}

pub(super) fn write_string(string: &str, text: &mut String) {
    text.push_str(&serde_json::Value::from(string).to_string());
}

fn write_number(number: &str, text: &mut String) {
    let sign = if number.starts_with('-') { "-" } else { "" };
    let _ = match Decimal::of(number) {
        Some(Decimal { digits, .. }) if digits.is_empty() => write!(text, "0"),
        Some(Decimal { digits, exponent: 0 }) => write!(text, "{sign}{digits}"),
        Some(Decimal { digits, exponent }) => write!(text, "{sign}{digits}e{exponent}"),
        // An exponent beyond 64 bits. The number is too small for every type of number, so its spelling does not matter.
        None => write!(text, "{number}"),
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Content, identity};
    use crate::input::{BoundInputs, Constraint, Input, JsonInput};
    use crate::problem::Error;
    use crate::protocol::method::Method;

    const INPUTS: [Input; 3] = [
        <u64 as JsonInput>::INPUT.named("order", "The order."),
        <Option<String> as JsonInput>::INPUT.named("about", "The subject."),
        <u64 as JsonInput>::INPUT
            .named("limit", "The limit.")
            .default(|| json!(5)),
    ];

    fn identified(names: &[&str], content: &Content) -> Result<String, Error> {
        let bound = BoundInputs::of(Method::Post, &INPUTS).unwrap();
        identity(&bound, &INPUTS, names, content)
    }

    fn text(body: &'static str) -> String {
        identified(&["order", "about", "limit"], &Content::Body(body.into())).unwrap()
    }

    #[test]
    fn the_order_and_the_spelling_of_the_inputs_do_not_matter() {
        let plain = text(r#"{"order":{"b":[1,2],"a":"é"},"about":null,"limit":5}"#);
        assert_eq!(plain, r#"{"about":null,"limit":5,"order":{"a":"é","b":[1,2]}}"#);
        for same in [
            "{ \"limit\": 5.0, \"about\": null,\n\"order\": { \"\\u0061\": \"\\u00e9\", \"b\": [ 10e-1, 0.2e1 ] } }",
            r#"{"order":{"a":"é","b":[1,2]}}"#,
            r#"{"order":{"a":"é","b":[1,2]},"reason":"another input"}"#,
        ] {
            assert_eq!(text(same), plain, "{same}");
        }
        assert_ne!(text(r#"{"order":{"a":"é","b":[2,1]}}"#), plain);
    }

    #[test]
    fn numbers_are_equal_exactly_if_their_values_are() {
        let of = |number: &str| {
            let body = format!(r#"{{"order":{number}}}"#);
            identified(&["order"], &Content::Body(body.into())).unwrap()
        };
        for same in [
            ["0", "-0"],
            ["0.000", "0e9999999999999999999999"],
            ["1500", "1.5E+3"],
            ["-0.10", "-1e-1"],
            ["100000000000000000000", "1e20"],
        ] {
            assert_eq!(of(same[0]), of(same[1]), "{same:?}");
        }
        for different in [
            ["1", "-1"],
            ["1", "10"],
            ["9007199254740993", "9007199254740992"],
            ["0.1", "0.1000000000000000055"],
            ["1e-99999999999999999999", "1e-99999999999999999998"],
        ] {
            assert_ne!(of(different[0]), of(different[1]), "{different:?}");
        }
        assert_eq!(of("1500"), r#"{"order":15e2}"#);
    }

    #[test]
    fn a_uuid_is_the_same_in_every_spelling() {
        const INPUTS: [Input; 2] = [
            <String as JsonInput>::INPUT
                .named("account", "The account.")
                .constraints(&[Constraint::Format("uuid")]),
            <String as JsonInput>::INPUT.named("note", "The note."),
        ];
        let bound = BoundInputs::of(Method::Post, &INPUTS).unwrap();
        let of = |body: String| identity(&bound, &INPUTS, &["account", "note"], &Content::Body(body.into())).unwrap();
        let text = |uuid: &str| of(format!(r#"{{"account":"{uuid}","note":"A-b"}}"#));
        let plain = text("67e55044-10b1-426f-9247-bb680e5fe0c8");
        assert_eq!(plain, r#"{"account":"67e5504410b1426f9247bb680e5fe0c8","note":"A-b"}"#);
        for same in [
            "67E55044-10B1-426F-9247-BB680E5FE0C8",
            "67e5504410b1426f9247bb680e5fe0c8",
            "{67e55044-10b1-426f-9247-bb680e5fe0c8}",
            "urn:uuid:67e55044-10b1-426f-9247-bb680e5fe0c8",
        ] {
            assert_eq!(text(same), plain, "{same}");
        }
        assert_ne!(text("67e55044-10b1-426f-9247-bb680e5fe0c9"), plain);
    }

    #[test]
    fn an_input_that_can_be_read_in_two_ways_is_refused() {
        let content = Content::Body(r#"{"order":{"a":1,"a":2}}"#.into());
        let error = identified(&["order"], &content).unwrap_err();
        assert_eq!(error.status(), 400);
        assert_eq!(
            error.detail(),
            "`order` contains an object with the field `a` twice: give each field once."
        );
    }
}
