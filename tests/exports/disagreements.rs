//! Types that serde and schemars read differently. An app with such an input does not start, unless the input is lenient.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(
    clippy::unused_async,
    reason = "an endpoint must be async, even if it awaits nothing"
)]

use std::collections::BTreeMap;

use operator_runtime::testing::Client;
use operator_runtime::{App, Endpoints, endpoints, operator_api};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Declares an endpoint that answers with its input.
macro_rules! echo {
    ($name:ident, $type:ty) => {
        /// Answers with the value. Use it to try a type.
        #[operator_api(POST, read_only)]
        async fn $name(
            /// The value to try.
            value: $type,
        ) -> $type {
            value
        }
    };
}

// After the macro, which the modules use.
mod enums;
mod made;
mod numbers;

/// A number, and any further numbers.
#[derive(Deserialize, Serialize, JsonSchema)]
struct WithRest {
    id: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

echo!(with_rest, WithRest);

/// Answers with the value. Use it to try a type.
#[operator_api(POST, "/flattened_rest", read_only)]
async fn flattened_rest(#[operator(flatten)] value: WithRest) -> WithRest {
    value
}

/// One of two.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
enum Kind {
    A { x: u8 },
    B { y: u8 },
}

/// A flattened enum beside `deny_unknown_fields`.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Closed {
    id: u8,
    #[serde(flatten)]
    kind: Kind,
}

echo!(closed, Closed);
echo!(closed_in_a_list, Vec<Closed>);
echo!(closed_in_an_option, Option<Closed>);

/// Answers with the value. Use it to try a type.
#[operator_api(POST, "/flattened_closed", read_only)]
async fn flattened_closed(#[operator(flatten)] value: Closed) -> Closed {
    value
}

/// No value.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Unit;

/// A tagged newtype over a unit.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
enum TaggedUnit {
    One(Unit),
    Two { x: u8 },
}

echo!(tagged_unit, TaggedUnit);

/// Nested tags.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "outer")]
enum Outer {
    In(Inner),
    Other { a: u8 },
}

/// The inner tag.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "inner", deny_unknown_fields)]
enum Inner {
    X { n: u8 },
    Y {},
}

echo!(nested_tags, Outer);
echo!(nested_tags_in_a_map, BTreeMap<String, Outer>);

/// A number of 128 bits, which serde cannot decode behind a tag.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
enum TaggedWide {
    A { n: u128 },
}

echo!(tagged_wide, TaggedWide);

/// Answers with a number. Use it to try a map that JSON cannot have.
#[operator_api(POST, "/tuple_keys", read_only)]
async fn tuple_keys(
    /// The value to try.
    value: BTreeMap<(u8, u8), u8>,
) -> usize {
    value.len()
}

/// Seats by row and number, inside another type.
#[derive(Serialize, JsonSchema)]
struct Seats {
    taken: BTreeMap<(char, u8), bool>,
}

/// Answers with a map that JSON cannot have. Use it to try such an answer.
#[operator_api(POST, "/taken_seats", read_only)]
async fn taken_seats() -> Vec<Seats> {
    let taken = BTreeMap::from([(('b', 7), true)]);
    vec![Seats { taken }]
}

/// A field with an old name.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Aliased {
    #[serde(alias = "old")]
    new: u8,
}

/// An optional field with an old name, inside another struct.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Around {
    inner: Vec<AliasedOption>,
}

/// An optional field with an old name.
#[derive(Deserialize, Serialize, JsonSchema)]
struct AliasedOption {
    #[serde(alias = "old")]
    new: Option<u8>,
}

/// A variant with an old name, and any other name.
#[derive(Deserialize, Serialize, JsonSchema)]
enum AliasedVariant {
    A,
    #[serde(alias = "beta")]
    B,
}

/// A variant for any other name.
#[derive(Deserialize, Serialize, JsonSchema)]
enum Other {
    A,
    #[serde(other)]
    Rest,
}

/// A variant for any other tag.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
enum OtherTag {
    A {
        n: u8,
    },
    #[serde(other)]
    Rest,
}

echo!(aliased, Aliased);
echo!(aliased_inside, Around);
echo!(aliased_variant, AliasedVariant);
echo!(other, Other);
echo!(other_tag, OtherTag);
echo!(other_in_an_option, Option<Other>);

/// A variant for any other tag beside a content.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind", content = "of")]
enum OtherAdjacentTag {
    A(u8),
    #[serde(other)]
    Rest,
}

echo!(other_adjacent_tag, OtherAdjacentTag);

/// An enum of a crate without schemas.
#[derive(Deserialize, Serialize)]
enum Foreign {
    Info,
    Warn,
}

/// Types whose schemas say less than serde does.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Loose {
    #[schemars(with = "String")]
    text: Foreign,
    #[schemars(with = "Value")]
    any: Foreign,
    #[schemars(with = "Value")]
    number: u8,
    #[schemars(with = "Value")]
    object: Fixed,
    #[schemars(with = "BTreeMap<String, u8>")]
    keys: BTreeMap<Level, u8>,
    #[serde(default)]
    #[schemars(skip)]
    hidden: bool,
}

/// A key.
#[derive(Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Low,
}

/// A field that the schema fixes.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Fixed {
    #[schemars(extend("const" = "v1"))]
    version: String,
}

/// A tagged enum with a field that the schema fixes.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
enum FixedInTagged {
    A {
        #[schemars(extend("const" = "v1"))]
        version: String,
    },
    B {
        x: u8,
    },
}

/// Answers with the values. Use it to try types whose schemas are written by hand.
#[operator_api(POST, "/by_hand", read_only)]
async fn by_hand(
    /// Loose schemas.
    loose: Loose,
    /// A narrow schema.
    fixed: Fixed,
    /// A narrow schema.
    tagged: FixedInTagged,
) -> (Loose, Fixed, FixedInTagged) {
    (loose, fixed, tagged)
}

/// A hidden field that the schema refuses.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Hidden {
    shown: u8,
    #[serde(default)]
    #[schemars(skip)]
    hidden: bool,
}

echo!(hidden, Hidden);

echo!(float, f32);

/// Answers with the value. Use it to try a lenient input.
#[operator_api(POST, "/lenient", read_only)]
async fn lenient(
    /// A field with an old name.
    #[operator(lenient)]
    aliased: Aliased,
    /// Any of the choices.
    #[operator(lenient, default = Other::A)]
    choice: Other,
    /// A strict input.
    strict: Option<Vec<Kind>>,
) -> (Aliased, Other, Option<Vec<Kind>>) {
    (aliased, choice, strict)
}

/// Starts an app with these endpoints, which must be refused.
fn refusal(endpoints: Endpoints) -> String {
    App::new().only(endpoints).check().unwrap_err().to_string()
}

async fn answer(endpoints: Endpoints, name: &str, inputs: Value) -> (u16, Value) {
    let client = Client::new(App::new().only(endpoints)).await.unwrap();
    let answer = client.call(name, &inputs).await;
    (answer.status.as_u16(), answer.body)
}

#[test]
fn a_value_that_the_schema_accepts_and_serde_refuses_stops_the_start() {
    for (endpoints, error) in [
        (endpoints![closed], "unknown field `kind`"),
        (endpoints![closed_in_a_list], "unknown field `kind`"),
        (endpoints![closed_in_an_option], "unknown field `kind`"),
        (endpoints![tagged_unit], "invalid type: map, expected unit struct Unit"),
        (endpoints![nested_tags], "unknown field `operator-unknown`"),
        (endpoints![nested_tags_in_a_map], "unknown field `operator-unknown`"),
        (endpoints![tagged_wide], "u128 is not supported"),
        (endpoints![tuple_keys], "expected a tuple of size 2"),
    ] {
        let said = refusal(endpoints);
        let what = "the input `value` does not work as described: its schema accepts ";
        assert!(said.contains(what) && said.contains(error), "{said}");
        assert!(said.contains("change the attributes"), "{said}");
    }
    let said = refusal(endpoints![flattened_closed]);
    assert!(said.contains("not a struct with a fixed set of fields"), "{said}");
}

#[tokio::test]
async fn an_answer_whose_keys_are_tuples_has_their_json_as_keys() {
    let (status, body) = answer(endpoints![taken_seats], "taken_seats", json!({})).await;
    assert_eq!((status, body), (200, json!([{ "taken": { r#"["b",7]"#: true } }])));
}

#[test]
fn a_value_that_serde_accepts_and_the_schema_refuses_stops_the_start() {
    for (endpoints, what) in [
        (endpoints![aliased], "accepts the field `old`"),
        (endpoints![aliased_inside], "accepts the field `old`"),
        (endpoints![aliased_variant], "accepts the variant `beta`"),
        (endpoints![other], "accepts any text as a variant"),
        (endpoints![other_tag], "accepts any text as a variant"),
        (endpoints![other_in_an_option], "accepts any text as a variant"),
        (endpoints![other_adjacent_tag], "accepts any text as a variant"),
        (endpoints![hidden], "accepts the field `hidden`"),
    ] {
        let said = refusal(endpoints);
        assert!(said.contains(what), "{what}: {said}");
        assert!(said.contains("`#[operator(lenient)]`"), "{said}");
    }
}

#[tokio::test]
async fn the_type_of_a_lenient_input_decides_and_other_inputs_stay_strict() {
    let (status, body) = answer(
        endpoints![lenient],
        "lenient",
        json!({ "aliased": { "old": 1 }, "choice": "zzz" }),
    )
    .await;
    assert_eq!((status, body), (200, json!([{ "new": 1 }, "Rest", null])));
    let (status, body) = answer(endpoints![lenient], "lenient", json!({ "aliased": { "new": 2 } })).await;
    assert_eq!((status, body), (200, json!([{ "new": 2 }, "A", null])));
    let wrong = json!({ "aliased": { "new": "x" }, "strict": [{ "kind": "A", "x": 300 }], "more": 1 });
    let (status, body) = answer(endpoints![lenient], "lenient", wrong).await;
    assert_eq!(status, 400);
    let wrong: Vec<&str> = body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["input"].as_str())
        .collect();
    assert_eq!(wrong, ["aliased.new", "strict[0].x", "more"], "{body}");
}

#[tokio::test]
async fn a_flattened_map_is_kept_inside_an_input_and_refused_as_inputs() {
    let inputs = json!({ "value": { "id": 1, "more": 2 } });
    assert_eq!(
        answer(endpoints![with_rest], "with_rest", inputs).await,
        (200, json!({ "id": 1, "more": 2 }))
    );
    let said = refusal(endpoints![flattened_rest]);
    assert!(said.contains("not a struct with a fixed set of fields"), "{said}");
}

#[tokio::test]
async fn schemas_that_are_written_by_hand_do_not_stop_the_start() {
    let loose = |text: &str, version: &str| {
        json!({
            "loose": { "text": text, "any": "Warn", "number": 1, "object": { "version": "any" }, "keys": { "Low": 1 }, "hidden": true },
            "fixed": { "version": version },
            "tagged": { "kind": "A", "version": "v1" },
        })
    };
    let (status, body) = answer(endpoints![by_hand], "by_hand", loose("Info", "v1")).await;
    assert_eq!((status, &body[0]["hidden"]), (200, &json!(true)), "{body}");
    for (inputs, part) in [(loose("a", "v1"), "`Info` or `Warn`"), (loose("Info", "v2"), "v1")] {
        let (status, body) = answer(endpoints![by_hand], "by_hand", inputs).await;
        assert_eq!(status, 400, "{body}");
        assert!(body.to_string().contains(part), "{part}: {body}");
    }
}

#[tokio::test]
async fn the_largest_number_in_an_answer_is_accepted_as_an_input() {
    for text in ["3.4028235e38", "-3.4028235e38", "3.4028234663852886e38"] {
        let number: Value = serde_json::from_str(text).unwrap();
        let (status, body) = answer(endpoints![float], "float", json!({ "value": number })).await;
        assert_eq!((status, body.as_f64().unwrap().abs()), (200, 3.402_823_5e38), "{text}");
    }
    let (status, body) = answer(endpoints![float], "float", json!({ "value": 3.41e38 })).await;
    assert_eq!(status, 400, "{body}");
}
