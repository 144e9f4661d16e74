//! Tests of what serde copies at each level of a type that contains itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::attempts::{Leaf, Outcome, TOO_DEEP, decoded, nested};

/// An untagged enum of which only one form is not null.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum List {
    Nil,
    Cons { value: Leaf, next: Box<List> },
}

/// An untagged enum of one form.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum Single {
    Only { value: Leaf, next: Option<Box<Single>> },
}

/// A struct with a flattened enum.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its decoding is of interest")]
struct Flat {
    id: u8,
    #[serde(flatten)]
    op: FlatOp,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "op")]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum FlatOp {
    Not { of: Box<Flat> },
    Num { value: Leaf },
}

/// A struct with nothing but a flattened enum.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its decoding is of interest")]
struct Wrap {
    #[serde(flatten)]
    op: WrapOp,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "op")]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum WrapOp {
    Not { of: Box<Wrap> },
    Num { value: Leaf },
}

/// A struct with two flattened enums that read the same field.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its decoding is of interest")]
struct Twofold {
    #[serde(flatten)]
    one: One,
    #[serde(flatten)]
    two: Two,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "one")]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum One {
    Some { inner: Box<Twofold> },
    None { value: Leaf },
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "two")]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum Two {
    Some { inner: Box<Twofold> },
    None { value: Leaf },
}

/// A struct with a flattened map of itself.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its decoding is of interest")]
struct Tree {
    id: Leaf,
    #[serde(flatten)]
    children: BTreeMap<String, Tree>,
}

/// Nothing but a flattened map of itself.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its decoding is of interest")]
struct Names {
    #[serde(flatten)]
    children: BTreeMap<String, Names>,
}

/// A struct with a flattened newtype of an enum.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its decoding is of interest")]
struct Newtype {
    id: u8,
    #[serde(flatten)]
    op: NewOp,
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its decoding is of interest")]
struct NewOp(NewtypeOp);

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "op")]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum NewtypeOp {
    Not { of: Box<Newtype> },
    Num { value: Leaf },
}

/// A struct with a flattened enum that may be left out.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its decoding is of interest")]
struct Optional {
    id: u8,
    #[serde(flatten)]
    op: Option<OptionalOp>,
    value: Option<Leaf>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "op")]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum OptionalOp {
    Not { of: Box<Optional> },
    Num,
}

/// An untagged enum around a struct with a flattened enum.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum Either {
    Flat(Flat),
    Id(u32),
}

/// A struct with a flattened enum and a flattened map of itself.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its decoding is of interest")]
struct Mixed {
    #[serde(flatten)]
    kind: MixedKind,
    #[serde(flatten)]
    children: BTreeMap<String, Mixed>,
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its decoding is of interest")]
enum MixedKind {
    Leaf(Leaf),
    Text(String),
}

/// Each level copies what is inside, whether the innermost value is right or wrong.
#[test]
fn what_serde_copies_at_each_level_is_bounded() {
    let junk = format!("[{}0]", "0,".repeat(60_000));
    for depth in [1, 8, 60, 120] {
        for number in [13, 12] {
            let all = [
                decoded::<List>(&nested(
                    depth,
                    r#"{"value":2,"next":$}"#,
                    &format!(r#"{{"value":{number},"next":null,"junk":{junk}}}"#),
                )),
                decoded::<Single>(&nested(
                    depth,
                    r#"{"value":2,"next":$}"#,
                    &format!(r#"{{"value":{number},"junk":{junk}}}"#),
                )),
                decoded::<Flat>(&nested(
                    depth,
                    r#"{"id":0,"op":"Not","of":$}"#,
                    &format!(r#"{{"id":0,"op":"Num","value":{number},"junk":{junk}}}"#),
                )),
                decoded::<Wrap>(&nested(
                    depth,
                    r#"{"op":"Not","of":$}"#,
                    &format!(r#"{{"op":"Num","value":{number},"junk":{junk}}}"#),
                )),
                decoded::<Twofold>(&nested(
                    depth,
                    r#"{"one":"Some","two":"Some","inner":$}"#,
                    &format!(r#"{{"one":"None","two":"None","value":{number},"junk":{junk}}}"#),
                )),
            ];
            for (kind, Outcome { told, .. }) in all.into_iter().enumerate() {
                assert_eq!(
                    told.is_empty(),
                    number == 12 && depth <= if kind == 4 { 1 } else { 8 },
                    "{kind} {depth} {number}: {told}"
                );
            }
        }
        let flat = format!(r#"{{"id":0,"op":"Num","value":13,"junk":{junk}}}"#);
        for told in [
            decoded::<Newtype>(&nested(depth, r#"{"id":0,"op":"Not","of":$}"#, &flat)).told,
            decoded::<Either>(&nested(depth, r#"{"id":0,"op":"Not","of":$}"#, &flat)).told,
        ] {
            assert!(!told.is_empty(), "{depth}");
        }
        // Serde takes a flattened enum that is wrong for one that is left out.
        let told = decoded::<Optional>(&nested(depth, r#"{"id":0,"op":"Not","of":$}"#, &flat)).told;
        assert!(told.is_empty() || depth > 1, "{told}");
        assert!(told.starts_with(TOO_DEEP) || depth < 60, "{depth}: {told}");
    }
    let names = format!(
        "{{{}\"z\":{{}}}}",
        (0..20_000).map(|name| format!("\"{name}\":{{}},")).collect::<String>()
    );
    let leaves = names.replace("{}", r#"{"Leaf":2}"#).replacen('{', r#"{"Leaf":13,"#, 1);
    for depth in [1, 20, 120] {
        let told = decoded::<Mixed>(&nested(depth, r#"{"Leaf":2,"a":$}"#, &leaves)).told;
        assert!(!told.is_empty(), "{depth}");
    }
    let trees = names.replace("{}", r#"{"id":2}"#).replacen('{', r#"{"id":13,"#, 1);
    for depth in [1, 20, 120] {
        let told = decoded::<Tree>(&nested(depth, r#"{"id":2,"a":$}"#, &trees)).told;
        assert!(!told.is_empty(), "{depth}");
        let wrong = names.replacen("{}", "5", 1);
        let told = decoded::<Names>(&nested(depth, r#"{"a":$}"#, &wrong)).told;
        assert!(!told.is_empty(), "{depth}");
    }
    // A name with escapes is copied as well.
    let long = format!("{{\"{}\":{{}}}}", "\\n".repeat(200_000));
    for (depth, expected) in [(1, ""), (100, TOO_DEEP)] {
        assert_eq!(
            decoded::<Names>(&nested(depth, r#"{"a":$}"#, &long)).told,
            expected,
            "{depth}"
        );
    }
}

/// Values of ordinary length may be nested as deeply as JSON allows.
#[test]
fn short_values_of_types_that_serde_copies_are_decoded_at_every_depth() {
    for depth in [1, 20, 60] {
        let fields = r#"{"value":2,"next":null}"#;
        assert_eq!(
            decoded::<List>(&nested(depth, r#"{"value":2,"next":$}"#, fields)).told,
            ""
        );
        let fields = r#"{"id":0,"op":"Num","value":2}"#;
        assert_eq!(
            decoded::<Flat>(&nested(depth, r#"{"id":0,"op":"Not","of":$}"#, fields)).told,
            ""
        );
        assert_eq!(
            decoded::<Tree>(&nested(depth, r#"{"id":2,"a":$,"b":{"id":3}}"#, r#"{"id":2}"#)).told,
            ""
        );
        assert_eq!(decoded::<Names>(&nested(depth, r#"{"a":$,"b":{}}"#, "{}")).told, "");
    }
    let twice = r#"{"one":"Some","two":"Some","inner":$}"#;
    let innermost = r#"{"one":"None","two":"None","value":2}"#;
    assert_eq!(decoded::<Twofold>(&nested(8, twice, innermost)).told, "");
    assert!(
        decoded::<Twofold>(&nested(40, twice, innermost))
            .told
            .starts_with(TOO_DEEP)
    );
}

/// Fields that a struct reads itself are not copied, so a long tree of them is decoded.
#[test]
fn the_own_fields_of_a_struct_with_a_flattened_field_may_be_long_and_deep() {
    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only its decoding is of interest")]
    struct Block {
        id: u32,
        children: Vec<Block>,
        #[serde(flatten)]
        kind: Kind,
    }
    #[derive(Deserialize, JsonSchema)]
    #[serde(tag = "type")]
    #[allow(dead_code, reason = "only its decoding is of interest")]
    enum Kind {
        Text { text: String },
        Section { title: String },
    }
    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only its decoding is of interest")]
    struct Element {
        id: u32,
        children: Vec<Element>,
        #[serde(flatten)]
        attributes: BTreeMap<String, String>,
    }
    let many = |leaf: &str, count: usize| format!("[{}{leaf}]", format!("{leaf},").repeat(count));
    let leaves = many(r#"{"id":1,"children":[],"type":"Text","text":"Hi"}"#, 8_000);
    let around = r#"{"id":1,"type":"Section","title":"A","children":[$]}"#;
    let innermost = format!(r#"{{"id":1,"type":"Section","title":"A","children":{leaves}}}"#);
    for depth in [1, 20, 50] {
        assert_eq!(decoded::<Block>(&nested(depth, around, &innermost)).told, "");
    }
    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only its decoding is of interest")]
    struct Maybe {
        id: u32,
        children: Vec<Maybe>,
        #[serde(flatten)]
        kind: Option<Kind>,
    }
    for depth in [1, 20, 50] {
        assert_eq!(decoded::<Maybe>(&nested(depth, around, &innermost)).told, "");
    }
    // What the innermost value collects is kept, and copied once.
    for (zeros, is_right) in [(10_000, true), (700_000, false)] {
        let junk = format!("[{}0]", "0,".repeat(zeros));
        let block = format!(r#"{{"id":1,"type":"Text","text":"a","children":[],"junk":{junk}}}"#);
        let told = decoded::<Block>(&nested(1, around, &block)).told;
        assert_eq!(told.is_empty(), is_right, "{zeros}: {told}");
    }
    let leaf = r#"{"id":1,"children":[],"a":"b","c":"d"}"#;
    let siblings = format!("{leaf},").repeat(50);
    let around = format!(r#"{{"id":1,"class":"x","children":[{siblings}$]}}"#);
    for depth in [1, 20, 50] {
        assert_eq!(decoded::<Element>(&nested(depth, &around, leaf)).told, "");
    }
}
