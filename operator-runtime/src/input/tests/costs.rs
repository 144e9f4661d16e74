//! Tests of what it costs to refuse a body, and of the sentences of such refusals.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroI8;
use std::time::Duration;

use allocation_counter::AllocationInfo;
use schemars::JsonSchema;
use serde::Deserialize;

use super::attempts::{decoded, nested};
use super::told_of;
use crate::input::bound::compile;
use crate::input::{BoundInputs, Decoder, Input, JsonInput, Verdict};
use crate::protocol::method::Method;
use crate::protocol::request::Content;
use crate::schema::published::FORMATS;

/// Fails if more was allocated at once than a refusal of a body of this length may take.
pub(super) fn assert_cheap(allocated: &AllocationInfo, length: usize) {
    let most = 32 * (1024 * 1024 + length as u64);
    assert!(allocated.bytes_max < most, "{} bytes for {length}", allocated.bytes_max);
}

/// The formats of JSON Schema (validation §7.3), each with texts of 1 MB that are valid or nearly so.
#[test]
fn checking_a_format_takes_memory_in_proportion_to_the_text() {
    let of = |part: &str| part.repeat(1_000_000 / part.len());
    let parts = [
        "a", "(", "[", "a.", "a@", "%41", "/a", "~1", "{a}", "1:", "P1D", "\u{fc}.", "xn--", "-", "0", ":", "|",
    ];
    for format in FORMATS {
        let schema = serde_json::json!({ "format": format });
        let validator: jsonschema::Validator = compile(&schema).unwrap();
        for part in parts {
            for start in ["", "http://a/", "http://", "a@"] {
                let text = serde_json::Value::from(format!("{start}{}", of(part)));
                let allocated = allocation_counter::measure(|| {
                    std::hint::black_box(validator.is_valid(&text));
                });
                assert!(
                    allocated.bytes_max < 32_000_000,
                    "{format}, {start}{part}: {} bytes",
                    allocated.bytes_max
                );
            }
        }
    }
}

/// An even number, which the schema does not say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "u32")]
#[schemars(with = "u32")]
struct Even;

impl TryFrom<u32> for Even {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if number.is_multiple_of(2) {
            Ok(Self)
        } else {
            Err("is odd".to_owned())
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its decoding is of interest")]
struct BeyondSchema {
    of_u16: Option<BTreeMap<u16, Option<bool>>>,
    of_signed: Option<BTreeMap<NonZeroI8, Option<bool>>>,
    even: Option<HashMap<String, Even>>,
    list: Option<Vec<Even>>,
    maps: Option<Vec<BTreeMap<u16, bool>>>,
}

/// The refusal of this value, which its schema accepts. Fails if the refusal takes too much memory.
fn refused_by_its_type(value: &str) -> String {
    let mut told = String::new();
    let allocated = allocation_counter::measure(|| told = told_of::<BeyondSchema>(value));
    assert_cheap(&allocated, value.len());
    told
}

#[test]
fn a_value_that_only_its_type_refuses_is_explained() {
    let keys: Vec<String> = (0..=65_536).map(|key| format!("\"{key}\":null")).collect();
    let names: Vec<String> = (0..100_000).map(|name| format!("\"{name}\":0")).collect();
    for (value, expected) in [
        (
            format!("{{\"of_u16\":{{{}}}}}", keys.join(",")),
            "The field name `65536` in `v.of_u16` must be a whole number from 0 to 65535.",
        ),
        (
            r#"{"of_signed":{"0":null}}"#.to_owned(),
            "The field name `0` in `v.of_signed` must be a whole number from -128 to 127, except 0.",
        ),
        (
            format!("{{\"even\":{{{},\"last\":1}}}}", names.join(",")),
            "`v.even.last` is not valid: is odd.",
        ),
        (
            format!("{{\"list\":[{}1]}}", "0,".repeat(500_000)),
            "`v.list[500000]` is not valid: is odd.",
        ),
        (
            format!("{{\"maps\":[{}{{\"70000\":true}}]}}", "{},".repeat(330_000)),
            "The field name `70000` in `v.maps[330000]` must be a whole number from 0 to 65535.",
        ),
    ] {
        assert_eq!(refused_by_its_type(&value), expected);
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "is")]
#[allow(dead_code, reason = "only its schema is of interest")]
enum Tagged {
    A { number: u8 },
    B { number: u8 },
    C { number: u8 },
    D { number: u8 },
    E { number: u8 },
}

/// Finding the form that was meant costs time for each value, so the search ends when there are enough problems.
#[test]
fn the_search_for_wrong_forms_ends_after_a_thousand_problems() {
    let told = |count: usize| {
        let values = vec![r#"{"is":"E"}"#; count].join(",");
        told_of::<Vec<Tagged>>(&format!("[{values}]"))
    };
    for (count, end) in [
        (20, "`v[19]` lacks `number`."),
        (1_000, "And 980 more."),
        (5_000, "And at least 1000 more."),
    ] {
        let told = told(count);
        assert!(
            told.starts_with("`v[0]` lacks `number`.") && told.ends_with(end),
            "{told}"
        );
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("if" = { "required": ["wrong"] }, "then" = { "required": ["number"] }))]
#[allow(dead_code, reason = "only its schema is of interest")]
struct Conditional {
    next: Option<Box<Self>>,
    number: Option<u8>,
    wrong: Option<bool>,
    list: Option<Vec<u8>>,
}

/// The rule `if` applies at each level, and each level contains all deeper ones.
#[test]
fn a_condition_at_each_level_is_checked_within_an_allowance() {
    let told = |innermost: &str, levels: usize| {
        let value = (0..levels).fold(innermost.to_owned(), |inner, _| format!("{{\"next\":{inner}}}"));
        told_of::<Conditional>(&value)
    };
    assert_eq!(told(r#"{"wrong":true}"#, 2), "`v.next.next` does not match its schema.");
    let long = format!("{{\"wrong\":true,\"list\":[{}0]}}", "0,".repeat(10_000));
    assert_eq!(told(&long, 2), "`v.next.next` does not match its schema.");
    assert_eq!(told(&long, 60), "`v` does not match its schema.");
}

const TWO: &[Input] = &[
    <Vec<BTreeMap<String, String>> as JsonInput>::INPUT.named("maps", ""),
    <u8 as JsonInput>::INPUT.named("number", ""),
];

/// Decoding a small map takes eighty times the memory of its text, which is in vain if another input is refused.
#[test]
fn a_long_body_is_not_decoded_if_another_input_is_refused() {
    let bound = BoundInputs::of(Method::Post, TWO).unwrap();
    let maps = vec![r#"{"":""}"#; 120_000].join(",");
    for (rest, expected) in [
        (r#","number":300"#, "`number` must be at most 255, and 300 was given."),
        (
            r#","number":1,"zzz":1"#,
            "There is no input `zzz`; the inputs are maps, number.",
        ),
        (r#","number":1,"number":1"#, "`number` is given twice: give it once."),
        ("", "`number` is missing."),
    ] {
        let body = format!("{{\"maps\":[{maps}]{rest}}}");
        let length = body.len();
        let content = Content::Body(body.into());
        let mut told = String::new();
        let allocated = allocation_counter::measure(|| {
            told = Decoder::open(&bound, &content).unwrap_err().detail().to_owned();
        });
        assert_eq!(told, expected);
        assert_cheap(&allocated, length);
        // A transaction begins after the check, and must not repeat it.
        let checked = Verdict::of(&bound, &content).unwrap();
        let allocated = allocation_counter::measure(|| {
            let refused = Decoder::open_checked(&bound, &content, &checked).unwrap_err();
            assert_eq!(refused.detail(), expected);
        });
        assert!(allocated.bytes_total < 16 * 1024, "{allocated:?}");
    }
    let right = format!("{{\"maps\":[{maps}],\"number\":1}}");
    let content = Content::Body(right.into());
    let mut decoder = Decoder::open(&bound, &content).unwrap();
    assert_eq!(
        decoder.json::<Vec<BTreeMap<String, String>>>(0).map(|maps| maps.len()),
        Some(120_000)
    );
    assert_eq!(decoder.json::<u8>(1), Some(1));
    assert!(decoder.finish().is_ok());
}

/// The processor time that this thread has used. Other tests may run on the same processor.
fn processor_time() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(used).unwrap()
}

/// The shortest of a few times that it takes to refuse a body of a megabyte of unknown names.
fn time_to_refuse_many_names(inputs: usize) -> Duration {
    let inputs: Vec<Input> = (0..inputs)
        .map(|index| <u8 as JsonInput>::INPUT.named(format!("input_{index}").leak(), ""))
        .collect();
    let bound = BoundInputs::of(Method::Post, &inputs).unwrap();
    let names: Vec<String> = (0..100_000).map(|index| format!("\"{index:x}\":0")).collect();
    let content = Content::Body(format!("{{{}}}", names.join(",")).into());
    let refuse = || {
        let begun = processor_time();
        assert!(Decoder::open(&bound, &content).is_err());
        processor_time() - begun
    };
    (0..5).map(|_| refuse()).min().unwrap_or_default()
}

#[test]
fn many_names_for_many_inputs_take_no_longer_than_for_one() {
    let (one, many) = (time_to_refuse_many_names(1), time_to_refuse_many_names(2_000));
    // A look at each input for each name, or the other way round, takes far longer.
    assert!(many < 8 * one, "{one:?} for one input, {many:?} for 2,000");
}

/// As large as a struct of a hundred texts. Serde's function for this type holds all fields, for each level.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its decoding is of interest")]
struct Wide {
    next: Option<Box<Wide>>,
    a: Option<[u64; 32]>,
    b: Option<[u64; 32]>,
    c: Option<[u64; 32]>,
    d: Option<[u64; 32]>,
    e: Option<[u64; 32]>,
    f: Option<[u64; 32]>,
    g: Option<[u64; 32]>,
    h: Option<[u64; 32]>,
    i: Option<[u64; 32]>,
}

/// The stack is that of a thread of tokio. If it overflows, the process ends.
#[test]
fn deep_values_of_a_large_type_do_not_overflow_the_stack() {
    let decoding = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(|| {
        for innermost in ["{}", r#"{"a":"wrong"}"#, r#"{"next":[]}"#] {
            let value = nested(120, r#"{"next":$}"#, innermost);
            let told = decoded::<Wide>(&value).told;
            assert_eq!(told.is_empty(), innermost == "{}", "{told}");
        }
    });
    decoding.unwrap().join().unwrap();
}
