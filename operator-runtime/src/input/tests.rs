//! Tests of decoding: unusual and wrong bodies, and the error messages that the caller gets.

mod attempts;
mod copies;
mod costs;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{BoundInputs, Decoder, FlattenInput, Input, JsonInput};
use crate::protocol::method::Method;
use crate::protocol::request::Content;

#[derive(Debug, Deserialize, JsonSchema)]
struct Money {
    #[schemars(range(min = 1))]
    #[allow(dead_code, reason = "only its decoding is of interest")]
    amount: i64,
    #[allow(dead_code, reason = "only its decoding is of interest")]
    note: Option<String>,
}

const NESTED: &[Input] = &[<Money as JsonInput>::INPUT.named("thing", "")];
const FLAT: &[Input] = &[<Money as FlattenInput>::INPUT];

/// The error messages for this body; empty if the body is decoded.
fn told(inputs: &'static [Input], body: &'static str) -> String {
    let bound = BoundInputs::of(Method::Post, inputs).unwrap();
    let content = Content::Body(body.into());
    told_by(&bound, &content, |decoder| match inputs[0].flatten {
        Some(_) => decoder.flatten::<Money>(0).is_some(),
        None => decoder.json::<Money>(0).is_some(),
    })
}

/// The error messages for this content; empty if all inputs are decoded.
fn told_by(bound: &BoundInputs, content: &Content, decode: impl FnOnce(&mut Decoder<'_>) -> bool) -> String {
    let decoded = Decoder::open(bound, content).and_then(|mut decoder| {
        let is_decoded = decode(&mut decoder);
        decoder.finish().map(|()| is_decoded)
    });
    match decoded {
        Ok(is_decoded) => {
            assert!(is_decoded, "an input was neither decoded nor refused");
            String::new()
        }
        Err(error) => error.detail().to_owned(),
    }
}

#[test]
fn a_number_that_is_too_large_is_refused_at_any_place() {
    let told_of = |input| format!("`{input}` contains a number that is too large: the largest is about 1.8e308.");
    assert_eq!(told(NESTED, r#"{"thing":{"amount":-5,"x":1e999}}"#), told_of("thing"));
    assert_eq!(told(NESTED, r#"{"thing":{"amount":5,"x":1e999}}"#), told_of("thing"));
    assert_eq!(told(FLAT, r#"{"amount":5,"note":1e999}"#), told_of("note"));
    assert_eq!(told(NESTED, r#"{"thing":{"amount":5,"x":1e308}}"#), "");
}

#[test]
fn half_of_a_surrogate_pair_is_explained() {
    let why = "contains half of a surrogate pair: write escapes from \\ud800 to \\udfff in pairs (RFC 8259 §7).";
    assert_eq!(
        told(NESTED, r#"{"thing":{"amount":5,"note":"\ud800"}}"#),
        format!("`thing` {why}")
    );
    assert_eq!(told(FLAT, r#"{"amount":5,"note":"\ud800x"}"#), format!("`note` {why}"));
    assert_eq!(told(FLAT, r#"{"amount":5,"note":"\udc00"}"#), format!("`note` {why}"));
}

/// A body with one valid input and `count` unknown inputs.
fn crowded(name: impl Fn(usize) -> String, count: usize) -> String {
    let others: String = (0..count).map(|index| format!(",\"{}\":1", name(index))).collect();
    format!("{{\"amount\":5{others}}}")
}

#[test]
fn the_sentences_about_many_names_are_short() {
    let unknown = told(FLAT, crowded(|index| format!("f{index}"), 88_000).leak());
    assert!(
        unknown.starts_with("There is no input `f0`; the inputs are amount, note. "),
        "{unknown}"
    );
    assert!(unknown.ends_with(" And 87980 more."), "{unknown}");
    assert!(unknown.len() < 2_000, "{}", unknown.len());
    let twice = told(FLAT, crowded(|_| "note".to_owned(), 88_000).leak());
    assert!(twice.ends_with(" And 87980 more."), "{twice}");
    let long = told(FLAT, crowded(|_| "x".repeat(500_000), 1).leak());
    assert!(long.len() < 300, "{}", long.len());
}

#[test]
fn two_flattened_structs_must_not_share_a_field() {
    const TWO: &[Input] = &[<Money as FlattenInput>::INPUT, <Money as FlattenInput>::INPUT];
    let mistakes = BoundInputs::of(Method::Post, TWO).err().unwrap();
    assert_eq!(mistakes.len(), 2);
    let both = "the field `amount` of the flattened `Money` and the field `amount` of the flattened `Money` have the same name";
    assert!(mistakes[0].to_string().starts_with(both), "{}", mistakes[0]);
}

/// A recursive type.
#[derive(Debug, Deserialize, JsonSchema)]
struct Tree {
    #[schemars(length(min = 1))]
    #[allow(dead_code, reason = "only its schema is of interest")]
    name: String,
    #[allow(dead_code, reason = "only its schema is of interest")]
    branches: Vec<Tree>,
}

#[test]
fn a_recursive_input_refers_to_its_definition_and_not_to_the_root() {
    const TREE: Input = <Tree as JsonInput>::INPUT.named("tree", "Where to start.");
    let schema = TREE.own_property();
    let text = schema.to_string();
    assert!(!text.contains(r##""$ref":"#""##), "{text}");
    assert!(
        text.contains(r##""$ref":"#/$defs/operator_runtime::input::tests::Tree""##),
        "{text}"
    );
    assert!(
        schema["$defs"]["operator_runtime::input::tests::Tree"]["properties"]["branches"].is_object(),
        "{text}"
    );

    let bound = BoundInputs::of(Method::Post, &[TREE]).unwrap();
    let content = Content::Body(r#"{"tree":{"name":"a","branches":[{"name":"","branches":[]}]}}"#.into());
    let mut decoder = Decoder::open(&bound, &content).unwrap();
    assert!(decoder.json::<Tree>(0).is_none());
    assert_eq!(
        decoder.finish().unwrap_err().detail(),
        "`tree.branches[0].name` must not be empty."
    );
}

/// Which orders to find.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only its schema is of interest")]
struct Filter {
    min_total_cents: Option<u32>,
    status: Option<Status>,
    was: Vec<Status>,
    and: Option<Box<Filter>>,
    order: Option<Order>,
    amount: Option<Amount>,
}

/// Variants with descriptions and without: several forms, each one text.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// Paid.
    Paid,
    /// Sent.
    Sent,
    Lost,
}

/// Forms that are all objects.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "snake_case")]
#[allow(dead_code, reason = "only its schema is of interest")]
enum Order {
    Time { newest_first: bool },
    Total,
}

/// Forms of different types.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is of interest")]
enum Amount {
    Cents(u32),
    Written(String),
}

/// The error messages for this filter.
fn told_of_filter(body: &'static str) -> String {
    const FILTER: &[Input] = &[<Filter as JsonInput>::INPUT.named("filter", "")];
    let bound = BoundInputs::of(Method::Post, FILTER).unwrap();
    let content = Content::Body(body.into());
    let mut decoder = Decoder::open(&bound, &content).unwrap();
    assert!(decoder.json::<Filter>(0).is_none());
    decoder.finish().unwrap_err().detail().to_owned()
}

#[test]
fn an_unknown_field_is_reported_with_the_nearest_known_field() {
    assert_eq!(
        told_of_filter(r#"{"filter":{"was":[],"min_total_cent":1}}"#),
        "`filter` has no field named `min_total_cent`; did you mean `min_total_cents`?"
    );
    assert_eq!(
        told_of_filter(r#"{"filter":{"was":[],"and":{"was":[],"Status":"paid"}}}"#),
        "`filter.and` has no field named `Status`; did you mean `status`?"
    );
    assert_eq!(
        told_of_filter(r#"{"filter":{"was":[],"x":1,"y":2}}"#),
        "`filter` has no field named `x` or `y`; its fields are amount, and, min_total_cents, order, status, was."
    );
}

#[test]
fn the_choices_are_listed_for_any_wrong_value() {
    for given in ["\"sold\"", "5", "true"] {
        let body = format!(r#"{{"filter":{{"was":[{given}],"status":{given}}}}}"#);
        let told = |input| format!("`{input}` must be one of `lost`, `paid` or `sent`, and {given} was given.");
        assert_eq!(
            told_of_filter(body.leak()),
            format!("{} {}", told("filter.status"), told("filter.was[0]"))
        );
    }
    assert_eq!(
        told_of_filter(r#"{"filter":{"was":[null]}}"#),
        "`filter.was[0]` must be one of `lost`, `paid` or `sent`, and null was given."
    );
}

#[test]
fn the_types_of_all_forms_are_listed_for_a_value_of_another_type() {
    assert_eq!(
        told_of_filter(r#"{"filter":{"was":[],"order":"time","amount":true}}"#),
        "`filter.amount` must be a whole number or text, and true was given. `filter.order` must be an object, and \"time\" was given."
    );
}

/// Forms without a tag that are all objects.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is of interest")]
enum Untagged {
    First { status: Status, first: u8 },
    Second { second: u8 },
    Third { status: Status, third: Option<u8> },
}

/// Variants in serde's default representation.
#[derive(Debug, Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its schema is of interest")]
enum Outer {
    Unit,
    New(u32),
    Fields { a: u8 },
}

/// A list whose items must be different.
#[derive(Debug, Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its schema is of interest")]
struct Set {
    #[schemars(extend("uniqueItems" = true))]
    numbers: Vec<serde_json::Value>,
}

/// The error messages for this value; empty if the value is decoded.
fn told_of<T: serde::de::DeserializeOwned + JsonSchema>(value: &str) -> String {
    let bound = BoundInputs::of(Method::Post, &[<T as JsonInput>::INPUT.named("v", "")]).unwrap();
    let content = Content::Body(format!("{{\"v\":{value}}}").into());
    told_by(&bound, &content, |decoder| decoder.json::<T>(0).is_some())
}

#[test]
fn the_problems_of_the_form_that_was_meant_are_reported() {
    for (value, told) in [
        (
            r#"{"status":"broken","first":1}"#,
            "`v` matches none of the 3 forms in its schema.",
        ),
        (
            r#"{"second":"x"}"#,
            "`v.second` must be a whole number, and \"x\" was given.",
        ),
        ("5", "`v` must be an object, and 5 was given."),
        (r#"{"status":"paid","first":1}"#, ""),
    ] {
        assert_eq!(told_of::<Untagged>(value), told, "{value}");
    }
    assert_eq!(
        told_of::<Vec<Option<Status>>>("[5]"),
        "`v[0]` must be one of `lost`, `paid` or `sent`, and 5 was given."
    );
}

#[test]
fn all_variants_are_listed_for_an_unknown_one() {
    let all = "`v` must be `Unit`, or an object whose only field is one of `New` or `Fields`, and";
    for (value, given) in [
        (r#""New""#, "\"New\""),
        (r#"{"Unit":null}"#, "an object"),
        (r#"{"New":1,"Fields":{"a":1}}"#, "an object"),
        ("5", "5"),
    ] {
        assert_eq!(told_of::<Outer>(value), format!("{all} {given} was given."), "{value}");
    }
    assert_eq!(
        told_of::<Outer>(r#"{"New":"x"}"#),
        "`v.New` must be a whole number, and \"x\" was given."
    );
    assert_eq!(told_of::<Outer>(r#"{"New":1}"#), "");
    assert_eq!(told_of::<Outer>(r#""Unit""#), "");
}

#[test]
fn a_field_that_an_object_has_twice_is_refused() {
    for value in [
        r#"{"amount":5,"amount":5}"#,
        r#"{"amount":5,"note":"a","am\u006funt":5}"#,
        r#"{"amount":5,"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"amount":1}"#,
    ] {
        assert_eq!(
            told_of::<Money>(value),
            "`v` contains an object with the field `amount` twice: give each field once.",
            "{value}"
        );
    }
}

#[test]
fn items_are_compared_by_value_and_not_by_notation() {
    let twice = "`v.numbers` must not contain the same item twice.";
    for (numbers, told) in [
        ("[1,1.0]", twice),
        ("[100,1e2]", twice),
        ("[0,-0.0]", twice),
        (r#"["a","\u0061"]"#, twice),
        (r#"[{"a":1,"b":[2]},{"b":[2.0],"a":1}]"#, twice),
        (r#"[null,"\u0000",0,false,"",[],{}]"#, ""),
        (r#"[[1,2],[2,1],{"a":{"b":1}},{"b":{"a":1}}]"#, ""),
        ("[18446744073709551616,18446744073709551617]", ""),
        ("[0.1,0.2]", ""),
    ] {
        assert_eq!(told_of::<Set>(&format!("{{\"numbers\":{numbers}}}")), told, "{numbers}");
    }
}

#[test]
fn a_whole_number_is_read_exactly_or_refused() {
    let exact = "[9007199254740993.0,-0.0,5e2,-1e+16,12.50e1,1000e-2,0.0e99,9.007199254740993e15,0e400]";
    assert_eq!(told_of::<Vec<i64>>(exact), "");
    for wrong in ["5.5", "1e19", "1e300", "15e-1", "0.1", "1e-400"] {
        assert!(!told_of::<Vec<i64>>(&format!("[{wrong}]")).is_empty(), "{wrong}");
    }
    let bound = BoundInputs::of(Method::Post, &[<i64 as JsonInput>::INPUT.named("v", "")]).unwrap();
    let content = Content::Body(r#"{"v":9007199254740993.0}"#.into());
    let decoded = Decoder::open(&bound, &content).unwrap().json::<i64>(0);
    assert_eq!(decoded, Some(9_007_199_254_740_993));
}

#[test]
fn a_map_key_that_cannot_be_decoded_is_reported_at_its_map() {
    use std::collections::BTreeMap;
    let told = |value| told_of::<Vec<BTreeMap<bool, u8>>>(value);
    assert_eq!(
        told(r#"[{"a":1}]"#),
        "A field name in `v[0]` must be `true` or `false`."
    );
    assert_eq!(told(r#"[{"true":1}]"#), "");
}

#[test]
fn a_limit_of_one_is_written_in_the_singular() {
    #[derive(Debug, Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only its schema is of interest")]
    struct Few {
        #[schemars(length(max = 1))]
        letter: String,
        #[schemars(length(max = 1))]
        items: Vec<u8>,
    }
    assert_eq!(
        told_of::<Few>(r#"{"letter":"ab","items":[1,2]}"#),
        "`v.items` must have at most 1 item, and has 2. `v.letter` must have at most 1 character, and has 2."
    );
}
