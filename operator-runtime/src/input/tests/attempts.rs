//! Tests of how often serde decodes the parts of a value with several forms.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use super::costs::assert_cheap;
use super::told_by;
use crate::input::{BoundInputs, Input, JsonInput};
use crate::protocol::method::Method;
use crate::protocol::request::Content;

thread_local! {
    static LEAVES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// A number that counts how often serde decodes it. It refuses 13, which its schema does not say.
#[derive(JsonSchema)]
pub(super) struct Leaf(#[allow(dead_code, reason = "only its schema is of interest")] u8);

impl<'de> Deserialize<'de> for Leaf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        LEAVES.set(LEAVES.get() + 1);
        let number = u8::deserialize(deserializer)?;
        if number == 13 {
            return Err(D::Error::custom("brings bad luck"));
        }
        Ok(Self(number))
    }
}

/// What decoding a value cost, and the error messages; empty if it was decoded.
pub(super) struct Outcome {
    pub(super) told: String,
    leaves: usize,
}

/// Decodes a value, and fails if that takes too much memory or too many attempts.
pub(super) fn decoded<T: DeserializeOwned + JsonSchema>(value: &str) -> Outcome {
    let inputs: &'static [Input] = Box::leak(Box::new([<T as JsonInput>::INPUT.named("value", "")]));
    let bound = BoundInputs::of(Method::Post, inputs).unwrap();
    let content = Content::Body(format!("{{\"value\":{value}}}").into());
    LEAVES.set(0);
    let mut told = String::new();
    let allocated = allocation_counter::measure(|| {
        told = told_by(&bound, &content, |decoder| decoder.json::<T>(0).is_some());
    });
    let leaves = LEAVES.get();
    // A refused value is decoded twice, and each time within the limit of steps. Decoding a leaf takes a step.
    assert!(leaves < 2 * (32 * 1024 + 32 * value.len()), "{leaves} leaves");
    if !told.is_empty() {
        assert_cheap(&allocated, value.len());
    }
    Outcome { told, leaves }
}

/// The value inside this many copies of `around`, in which it replaces `$`.
pub(super) fn nested(depth: usize, around: &str, innermost: &str) -> String {
    (0..depth).fold(innermost.to_owned(), |inner, _| around.replacen('$', &inner, 1))
}

const NO_VARIANT: &str = "`value` is not valid: data did not match any variant of untagged enum";
pub(super) const TOO_DEEP: &str = "`value` is nested too deeply for its size: reading it would take too much time or memory. Use fewer levels, or a shorter value.";

/// Forms that serde tries one after the other, at each level again if one of them does not fit.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum Alike {
    One { inner: Box<Alike>, one: Option<u8> },
    Two { inner: Box<Alike>, two: Option<u8> },
    Three { inner: Option<Box<Alike>>, three: Leaf },
}

#[test]
fn the_notation_of_a_number_does_not_multiply_the_attempts_of_serde() {
    let with = |number: &str| {
        let deepest = format!(r#"{{"three":{number}}}"#);
        decoded::<Alike>(&nested(6, r#"{"inner":$,"three":1}"#, &deepest))
    };
    let plain = with("3");
    assert_eq!(plain.told, "");
    for number in ["3.0", "3e0", "30e-1", "-0", "-0.0"] {
        let other = with(number);
        assert_eq!((other.told.as_str(), other.leaves), ("", plain.leaves), "{number}");
    }
    for number in [
        "3.0000000000000000001",
        "2.9999999999999999999",
        "1e-400",
        "300.5",
        "-1e-30",
    ] {
        let Outcome { told, leaves } = with(number);
        assert!(told.starts_with("`value"), "{number}: {told}");
        assert_eq!(leaves, 0, "{number}: {told}");
    }
}

/// Each notation of a number that only the type refuses, just within the bound and just beyond it, and at other depths.
#[test]
fn a_value_that_only_its_type_refuses_costs_a_bounded_number_of_attempts() {
    let told = |depth: usize, around: &str, number: &str| {
        let deepest = format!(r#"{{"three":{number}}}"#);
        decoded::<Alike>(&nested(depth, around, &deepest)).told
    };
    let long = format!("13.{}", "0".repeat(5_000));
    for number in ["13", "13.0", "1.3e1", "130e-1", "0.13E+2", &long] {
        for (depth, expected) in [(6, NO_VARIANT), (8, TOO_DEEP)] {
            let told = told(depth, r#"{"inner":$}"#, number);
            assert!(told.starts_with(expected), "{depth}, {number}: {told}");
        }
    }
    for depth in [1, 4, 10, 20, 60, 124] {
        let expected = if depth < 9 { NO_VARIANT } else { TOO_DEEP };
        let told = told(depth, r#"{"\u0069nner":$,"\u0074wo":1}"#, "13");
        assert!(told.starts_with(expected), "{depth}: {told}");
    }
}

/// Serde also decodes a list as a struct, so these forms look alike, too.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum Listed {
    Pair(Pair),
    List(Vec<Listed>),
    Leaf(Leaf),
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its decoding is of interest")]
struct Pair {
    first: Box<Listed>,
    second: Option<u8>,
}

/// A tag decides which variant is decoded, but inside an untagged enum it is only one of the variants to try.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum Mixed {
    Tagged(Tagged),
    Other {
        kind: String,
        of: Box<Mixed>,
        other: Option<u8>,
    },
    Leaf(Leaf),
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "kind")]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum Tagged {
    Not { of: Box<Mixed> },
    Both { of: Box<Mixed>, also: Box<Mixed> },
}

#[test]
fn forms_that_look_alike_only_to_serde_are_counted_too() {
    for (depth, expected) in [(5, NO_VARIANT), (100, TOO_DEEP)] {
        let told = decoded::<Listed>(&nested(depth, "[$]", "13")).told;
        assert!(told.starts_with(expected), "{depth}: {told}");
        let told = decoded::<Mixed>(&nested(depth, r#"{"kind":"Not","of":$}"#, "13")).told;
        assert!(told.starts_with(expected), "{depth}: {told}");
    }
}

/// Forms of which a field decides at once which one is meant, as in a filter.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum Filter {
    And { and: Vec<Filter> },
    Or { or: Vec<Filter> },
    Not { not: Box<Filter> },
    In { leaves: Vec<Leaf> },
}

#[test]
fn forms_that_differ_may_be_nested_as_deeply_as_json_allows() {
    let decoded = |depth: usize, leaf: &str| decoded::<Filter>(&nested(depth, r#"{"or":[{"not":$}]}"#, leaf));
    for depth in [1, 20, 40] {
        let right = decoded(depth, r#"{"leaves":[1,2]}"#);
        assert_eq!((right.told.as_str(), right.leaves), ("", 2));
        let wrong = decoded(depth, r#"{"leaves":[1,13]}"#);
        assert!(wrong.told.starts_with(NO_VARIANT), "{}", wrong.told);
    }
}

/// Each level copies what is inside, so a long list at the end of a long chain would be in memory once for each level.
#[test]
fn a_long_value_may_be_nested_in_a_few_levels_and_not_in_many() {
    let long = |item: &str| format!("{{\"leaves\":[{}{item}]}}", "1,".repeat(100_000));
    for (item, few) in [("1", ""), ("13", NO_VARIANT)] {
        for (depth, expected) in [(1, few), (40, TOO_DEEP)] {
            let told = decoded::<Filter>(&nested(depth, r#"{"or":[{"not":$}]}"#, &long(item))).told;
            assert!(
                told.starts_with(expected) && told.is_empty() == expected.is_empty(),
                "{depth}: {told}"
            );
        }
    }
    // A text or a name with escapes is copied, too.
    let text = format!("\"{}\"", "\\n".repeat(200_000));
    for long in [&text, &format!("{{{text}:0}}")] {
        for (depth, expected) in [(1, ""), (100, TOO_DEEP)] {
            assert_eq!(decoded::<Json>(&nested(depth, "[$]", long)).told, expected, "{depth}");
        }
    }
}

/// A list in a buffer takes several times the memory of its text, even if it is in a field that no variant knows.
#[test]
fn the_lists_and_objects_in_a_buffer_are_counted_with_their_room() {
    let nested_lists = format!("{}0{}", "[".repeat(100), "]".repeat(100));
    for (item, expected) in [
        ("[0]", NO_VARIANT),
        (r#"{"":[0]}"#, NO_VARIANT),
        (&nested_lists, TOO_DEEP),
    ] {
        let many = vec![item; 1_000_000 / (item.len() + 1)].join(",");
        let told = decoded::<Alike>(&format!(r#"{{"three":13,"a":[{many}]}}"#)).told;
        assert!(told.starts_with(expected), "{item}: {told}");
        let told = decoded::<Alike>(&format!(r#"{{"three":1,"inner":{{"three":13,"a":[{many}]}}}}"#)).told;
        assert!(told.starts_with(TOO_DEEP), "{item}: {told}");
    }
}

/// Any JSON, as programs write it that need no `serde_json::Value`.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum Json {
    Flag(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Map(BTreeMap<String, Json>),
}

#[test]
fn a_long_value_of_many_levels_is_decoded() {
    let wide = |inner: &str| format!("{{\"a\":[{}true]}}", format!("{inner},").repeat(6));
    let value = (0..6).fold("[0,1.5,\"two\"]".to_owned(), |inner, _| wide(&inner));
    assert!(value.len() > 500_000, "{}", value.len());
    assert_eq!(decoded::<Json>(&value).told, "");
    assert_eq!(decoded::<Json>(&nested(60, r#"{"a":[$,1,"b"]}"#, "2")).told, "");
    let short_lists = vec!["[0]"; 1024 * 1024 / 4 - 10].join(",");
    assert_eq!(decoded::<Json>(&format!("[{short_lists}]")).told, "");
}

/// The type alone decides about a lenient input, but not how often its values may be decoded.
#[test]
fn a_lenient_input_is_bounded_as_well() {
    const LENIENT: &[Input] = &[<Alike as JsonInput>::INPUT.named("value", "").lenient()];
    let bound = BoundInputs::of(Method::Post, LENIENT).unwrap();
    for (depth, expected) in [(3, ""), (60, TOO_DEEP)] {
        let value = nested(depth, r#"{"inner":$}"#, r#"{"three":3}"#);
        let content = Content::Body(format!("{{\"value\":{value}}}").into());
        let told = told_by(&bound, &content, |decoder| decoder.json::<Alike>(0).is_some());
        assert_eq!(told, expected, "{depth}");
    }
}

/// The same recursion in serde's other representations.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "op")]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum Inside {
    Not { of: Box<Inside> },
    Is { number: Leaf, text: Option<char> },
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum Outside {
    Not(Box<Outside>),
    Is { number: Leaf, text: Option<char> },
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "op", content = "of")]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum Beside {
    Not(Box<Beside>),
    Is { number: Leaf, text: Option<char> },
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum Untagged {
    Not { not: Box<Untagged> },
    Or { or: Vec<Untagged> },
    Is { number: Leaf, text: Option<char> },
}

/// An enum with a tag keeps all fields in a buffer, even those that no variant knows.
#[test]
fn the_buffer_of_an_enum_with_a_tag_is_bounded() {
    const UNLUCKY: &str = "is not valid: brings bad luck";
    let nested_lists = format!("{}0{}", "[".repeat(100), "]".repeat(100));
    for (item, number, expected) in [
        (&*nested_lists, 13, TOO_DEEP),
        (&nested_lists, 1, TOO_DEEP),
        ("[0]", 13, UNLUCKY),
        (r#"{"":[0]}"#, 1, ""),
        ("[13.37,52.51]", 1, ""),
    ] {
        let many = vec![item; 1_000_000 / (item.len() + 1)].join(",");
        let fields = format!(r#""number":{number},"junk":[{many}]"#);
        let is = format!(r#"{{"op":"Is",{fields}}}"#);
        let beside = format!(r#"{{"of":{{{fields}}},"op":"Is"}}"#);
        for told in [
            decoded::<Inside>(&is).told,
            decoded::<Inside>(&nested(20, r#"{"op":"Not","of":$}"#, &is)).told,
            decoded::<Vec<Inside>>(&format!("[{is}]")).told,
            decoded::<Beside>(&beside).told,
            decoded::<Beside>(&nested(20, r#"{"of":$,"op":"Not"}"#, &beside)).told,
        ] {
            assert!(
                told.contains(expected) && told.is_empty() == expected.is_empty(),
                "{item}: {told}"
            );
        }
        // An enum without a tag is decoded without a buffer.
        let outside = decoded::<Outside>(&format!(r#"{{"Is":{{{fields}}}}}"#)).told;
        assert_eq!(outside.is_empty(), number == 1, "{item}: {outside}");
    }
}

/// Serde moves what is inside, but each level makes another list of its fields.
#[test]
fn many_fields_at_each_level_of_an_enum_with_a_tag_are_bounded() {
    let fields: String = (0..1_100).map(|name| format!("\"{name:x}\":0,")).collect();
    let level = format!(r#"{{{fields}"op":"Not","of":$}}"#);
    for (number, expected) in [(1, ""), (13, "`value` is not valid: brings bad luck.")] {
        let innermost = format!(r#"{{"op":"Is","number":{number}}}"#);
        assert_eq!(decoded::<Inside>(&nested(100, &level, &innermost)).told, expected);
    }
}

/// Whatever the notation of the innermost number and text, a value of any representation is decoded or refused at a
/// bounded cost. The test of the bounds is in `decoded`.
#[test]
fn no_notation_is_costly_in_any_representation() {
    let digits = "1".repeat(5_000);
    let numbers = [
        ("1", true),
        ("1.0", true),
        ("1e0", true),
        ("0.1E+1", true),
        ("-0", true),
        ("-0.0e-5", true),
        ("13", false),
        ("13.0", false),
        ("130e-1", false),
        ("1e400", false),
        ("1e-400", false),
        ("-1e-30", false),
        ("1e99999999999999999999", false),
        ("0e99999999999999999999", true),
        (&digits, false),
        (&format!("0.{digits}"), false),
        (&format!("1.{}", "0".repeat(5_000)), true),
        (&format!("1{}e-5000", "0".repeat(5_000)), true),
    ];
    let texts = [
        (r#""A""#, true),
        (r#""\u0041""#, true),
        (r#""\ud83d\ude00""#, true),
        (r#""\u0041\u0041""#, false),
    ];
    let numbers = numbers.into_iter().map(|(number, is_right)| (number, "null", is_right));
    let texts = texts.into_iter().map(|(text, is_right)| ("1", text, is_right));
    for (number, text, is_right) in numbers.chain(texts) {
        for depth in [1, 8, 60] {
            let fields = format!(r#""number":{number},"\u0074ext":{text}"#);
            let within = |around: &str, innermost: &str| nested(depth, around, &innermost.replace('$', &fields));
            let all = [
                decoded::<Inside>(&within(r#"{"\u006fp":"Not","of":$}"#, r#"{"op":"Is",$}"#)),
                decoded::<Outside>(&within(r#"{"N\u006ft":$}"#, r#"{"Is":{$}}"#)),
                decoded::<Beside>(&within(r#"{"of":$,"op":"Not"}"#, r#"{"of":{$},"op":"\u0049s"}"#)),
                decoded::<Untagged>(&within(r#"{"n\u006ft":$}"#, "{$}")),
                decoded::<Untagged>(&within(r#"{"or":[$]}"#, "{$}")),
            ];
            for outcome in all {
                assert_eq!(
                    outcome.told.is_empty(),
                    is_right,
                    "{number} {text} {depth}: {}",
                    outcome.told
                );
                // Serde also asks the type of a missing field, at each level.
                let most = 2 * (depth + 1);
                assert!(outcome.leaves <= most, "{number} {text} {depth}: {}", outcome.leaves);
            }
        }
    }
}
