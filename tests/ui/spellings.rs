//! Unusual ways to write an endpoint. All of them must compile and work.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(clippy::needless_lifetimes, reason = "unusual spellings are what this file tests")]

use std::borrow::Cow;
use std::num::NonZero;
use std::sync::Mutex;

use operator_runtime::testing::Client;
use operator_runtime::{App, Call, Error, OperatorError, Reader, SearchParam, Sqlite, Tx, endpoints, operator_api};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A user's own module may have any name.
mod __private {
    pub(super) struct Desk;
}

mod operator {
    pub(super) struct Shelf(pub(super) std::sync::Mutex<u8>);
}

const MOST: u8 = 20;

const RATE: f64 = 0.5;

static FEWEST: u64 = 2;

const fn default_limit() -> u8 {
    3
}

/// Why a call fails.
#[derive(OperatorError)]
enum Refused {
    /// There is no order {id}, for the reason {why:?}.
    #[operator(status = 404)]
    Missing { id: u64, why: Option<u8> },
}

type Answered<T, E = Refused> = Result<T, E>;

/// A number of things.
#[derive(SearchParam, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
struct Count(u8);

impl Count {
    const FIRST: Self = Self(1);
}

/// An amount. The type does not implement `SearchParam`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
struct Amount(u64);

/// A period.
#[derive(Deserialize, JsonSchema)]
struct Period {
    #[allow(dead_code)]
    from: String,
}

/// Counts with every option that fits. Use it to count.
#[operator_api(POST, "/count", read_only)]
async fn count(
    /// How often to count.
    #[operator(default = MOST, min = 1, max = 20)]
    number: u8,
    /// A number that may be left out.
    #[operator(exclusive_min = -1.5, exclusive_max = 2, multiple_of = 0.5)]
    fraction: Option<f64>,
    /// A number that is not 0.
    #[operator(max = 18_446_744_073_709_551_615)]
    not_zero: NonZero<u128>,
    /// A number of a type of its own.
    #[operator(min = 2)]
    own: Count,
    /// Any text.
    #[operator(default = "open".to_owned(), min_length = 1, max_length = 9, pattern = r"^\w+$")]
    mut text: String,
    /// A string that is borrowed for `'static`.
    still: Cow<'static, str>,
    /// A list with every option.
    #[operator(min_items = 1, max_items = 3, unique_items)]
    list: Vec<String>,
    /// A list in a box.
    #[operator(max_items = 3)]
    boxed: Box<[u8]>,
) -> Answered<usize> {
    text.push_str(&still);
    let _ = (fraction, not_zero, own.0);
    if number == 0 {
        return Err(Refused::Missing { id: 1, why: None });
    }
    Ok(text.len() + list.len() + boxed.len())
}

/// Has defaults that are defined elsewhere. Use it to see that they apply.
#[operator_api(POST, "/defaults", read_only)]
async fn defaults(
    /// The default is a function whose name is similar to that of the input.
    #[operator(default = default_limit(), max = 9)]
    limit: u8,
    /// The default is a constant, and the bounds are whole numbers.
    #[operator(default = RATE, min = 0, max = 1)]
    ratio: f64,
    /// The default is a static, and 0 bounds an unsigned number.
    #[operator(default = FEWEST, min = 0)]
    fewest: u64,
    /// The default is a constant of a type of its own.
    #[operator(default = Count::FIRST, min = 1, example = 7)]
    own: Count,
    /// The default is `None`, which looks like a constant.
    #[operator(default = None, min = 1, example = 7)]
    nothing: Option<u8>,
    /// An example for a type that does not implement `SearchParam`.
    #[operator(example = 5)]
    amount: Amount,
) -> (u8, f64, u64, u8, Option<u8>, u64) {
    (limit, ratio, fewest, own.0, nothing, amount.0)
}

/// Has arguments with names that the macro uses itself. Use it to see that they do not clash.
#[operator_api(GET, "/names")]
async fn names(
    desk: &__private::Desk,
    shelf: &operator::Shelf,
    call: &Call,
    /// A name that the macro uses.
    transaction: String,
    /// A name that the macro uses.
    inputs: String,
    /// A name that the macro uses.
    returned: String,
    /// A name that the macro uses.
    #[operator(default)]
    __operator: String,
    /// A raw name.
    r#type: String,
) -> &'static str {
    let _ = (
        desk,
        shelf.0.lock(),
        call,
        transaction,
        inputs,
        returned,
        __operator,
        r#type,
    );
    "said"
}

/// Borrows for a named lifetime. Use it to see that this compiles.
#[operator_api(POST, "/borrowed")]
async fn borrowed<'a, 'b>(
    /// A borrowed argument may have a description, which callers do not see.
    desk: &'a Mutex<u8>,
    reader: &'b Reader<Sqlite>,
    tx: &'a mut Tx<Sqlite>,
    #[allow(unused_variables)]
    #[operator(flatten)]
    period: Period,
) -> Result<Option<&'static str>, Error> {
    let _ = (desk, reader, tx);
    Ok(None)
}

macro_rules! counter {
    ($name:ident, $path:literal, $ty:ty, $state:ty, $what:literal) => {
        #[doc = $what]
        #[operator_api(GET, $path)]
        async fn $name(
            desk: $state,
            /// The first number.
            first: $ty,
            /// The second number.
            #[operator(default)]
            second: $ty,
        ) -> $ty {
            let _ = desk;
            first + second
        }
    };
}

counter!(
    whole,
    "/whole",
    u32,
    &__private::Desk,
    "Adds whole numbers. Use it to add."
);
counter!(
    real,
    "/real",
    f64,
    &__private::Desk,
    "Adds real numbers. Use it to add."
);

/// Exists only in some builds. Use it there.
#[cfg(any())]
#[operator_api(GET, "/nowhere")]
async fn nowhere(desk: &NoSuchType) -> u8 {
    1
}

/// Exists only in some builds. Use it there.
#[operator_api(GET, "/nowhere_either")]
#[cfg(any())]
async fn nowhere_either(desk: &NoSuchType) -> u8 {
    1
}

/// Exists in these builds. Use it here.
#[cfg_attr(all(), operator_api(GET, "/somewhere"))]
async fn somewhere(
    /// The number of a place.
    #[operator(min = 1)]
    place: u8,
) -> u8 {
    place
}

mod elsewhere {
    use operator_runtime::operator_api;

    /// Has the function name of another endpoint, in another module. Use it there.
    #[operator_api(GET, "/count_again", name = "count_again")]
    pub(super) async fn count() -> Result<(), operator_runtime::Error> {
        Ok(())
    }
}

/// Is old. Use it never.
#[deprecated]
#[operator_api(GET)]
async fn old() {}

#[tokio::test]
async fn every_spelling_is_an_endpoint() {
    let app = App::new()
        .state(__private::Desk)
        .state(operator::Shelf(Mutex::new(1)))
        .state(Mutex::new(1_u8));
    let client = Client::new(app.only(endpoints![
        count,
        elsewhere::count,
        defaults,
        names,
        whole,
        real,
        somewhere
    ]))
    .await
    .unwrap();
    let inputs = json!({ "not_zero": 1, "own": 2, "still": "now", "list": ["a"], "boxed": [1, 2] });
    assert_eq!(client.call("count", &inputs).await.body, json!(10));
    let defaults = client.call("defaults", &json!({ "amount": 5 })).await.body;
    assert_eq!(defaults, json!([3, 0.5, 2, 1, null, 5]));
    let names = json!({ "transaction": "", "inputs": "", "returned": "", "type": "" });
    assert_eq!(client.call("names", &names).await.body, json!("said"));
    assert_eq!(client.call("whole", &json!({ "first": 2 })).await.body, json!(2));
    assert_eq!(client.call("real", &json!({ "first": 2 })).await.body, json!(2.0));
    assert_eq!(client.call("somewhere", &json!({ "place": 1 })).await.body, json!(1));
    assert_eq!(client.call("count_again", &json!({})).await.body, json!(null));
}

/// For each of serde's cases, an enum that the macro reads as a search parameter and serde writes.
macro_rules! cases {
    ($($case:literal $name:ident)*) => {
        #[test]
        fn names_of_variants_are_those_of_serde() {
            $({
                /// How urgent it is.
                #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, SearchParam)]
                #[serde(rename_all = $case)]
                enum $name {
                    VeryUrgent,
                    Now,
                    A1B2,
                    #[serde(rename = "some day")]
                    Later,
                    Self_,
                }
                let schema = <$name as SearchParam>::schema().to_value();
                for variant in [$name::VeryUrgent, $name::Now, $name::A1B2, $name::Later, $name::Self_] {
                    let written = serde_json::to_value(variant).unwrap();
                    let text = written.as_str().unwrap();
                    assert_eq!($name::from_text(text).unwrap(), variant);
                    assert!(schema["enum"].as_array().unwrap().contains(&written), "{schema}");
                }
            })*
        }
    };
}

cases! {
    "lowercase" Lower
    "UPPERCASE" Upper
    "PascalCase" Pascal
    "camelCase" Camel
    "snake_case" Snake
    "SCREAMING_SNAKE_CASE" ScreamingSnake
    "kebab-case" Kebab
    "SCREAMING-KEBAB-CASE" ScreamingKebab
}
