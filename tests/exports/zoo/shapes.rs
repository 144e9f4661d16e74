//! Numbers, collections, pointers, generic and recursive types, and the rules that an argument's options add.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::num::{NonZeroI16, NonZeroU32};
use std::sync::Arc;

use operator_runtime::{SearchParam, SearchParams, operator_api};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every type of number.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Numbers {
    unsigned: (u8, u16, u32, u64, usize),
    signed: (i8, i16, i32, i64, isize),
    wide: (u128, i128),
    floats: (f32, f64),
    never_zero: (NonZeroU32, NonZeroI16),
}

/// Answers with numbers. Use it to try every type of number.
#[operator_api(POST, "/zoo/numbers", read_only)]
async fn numbers(
    /// The value to try.
    value: Numbers,
) -> Numbers {
    value
}

/// Collections.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Collections {
    list: Vec<Option<bool>>,
    queue: VecDeque<String>,
    set: BTreeSet<u8>,
    unordered: HashSet<i8>,
    shared: Arc<[Arc<str>]>,
    map: BTreeMap<String, i32>,
    numbered: HashMap<u16, char>,
    three: [u8; 3],
    tuple: (bool, Box<str>, ()),
    address: IpAddr,
}

/// Answers with collections. Use it to try lists, sets, maps and tuples.
#[operator_api(POST, "/zoo/collections", read_only)]
async fn collections(
    /// The value to try.
    value: Collections,
) -> Collections {
    value
}

/// A tree.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Tree {
    name: String,
    branches: Vec<Tree>,
    neighbour: Option<Box<Tree>>,
}

/// Answers with a tree. Use it to try recursion.
#[operator_api(POST, "/zoo/tree", read_only, tag = "Trees and lists")]
async fn tree(
    /// The value to try.
    value: Tree,
    /// More trees.
    others: Vec<Tree>,
) -> Tree {
    Tree {
        branches: others,
        ..value
    }
}

/// One page of anything.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Page<T> {
    items: Vec<T>,
    next: Option<Wrapper>,
}

/// A newtype of a string.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Wrapper(#[schemars(length(max = 8))] String);

/// Two values without names.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Pair(u8, Wrapper);

/// Answers with pages. Use it to try generics.
#[operator_api(POST, "/zoo/pages", read_only)]
async fn pages(
    /// Pages of texts.
    texts: Page<Wrapper>,
    /// Pages of pairs.
    pairs: Page<Pair>,
) -> (Page<Wrapper>, Page<Pair>) {
    (texts, pairs)
}

/// A type with its own bounds.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Promises {
    #[schemars(range(min = 1, max = 9))]
    digit: u8,
    #[schemars(length(min = 1, max = 3))]
    words: Vec<String>,
    #[schemars(regex(pattern = "^[a-z]+$"))]
    name: String,
    #[schemars(email)]
    email: Option<String>,
}

/// Answers with values within bounds. Use it to try bounds, patterns and formats.
#[operator_api(POST, "/zoo/promises", read_only)]
async fn promises(
    /// The value to try.
    value: Promises,
    /// A multiple of 0.5.
    #[operator(min = 0, exclusive_max = 10, multiple_of = 0.5)]
    half: f64,
    /// Some letters.
    #[operator(min_length = 2, max_length = 4, pattern = "^[a-f]*$")]
    letters: Option<String>,
    /// Different numbers.
    #[operator(min_items = 1, max_items = 3, unique_items)]
    different: Vec<i8>,
) -> (Promises, f64, Option<String>, Vec<i8>) {
    (value, half, letters, different)
}

/// One of three choices.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, SearchParam)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Which {
    /// The first.
    One,
    /// The second.
    Two,
    /// The third.
    #[deprecated]
    Three,
}

/// Inputs of a GET.
#[derive(Debug, Deserialize, Serialize, JsonSchema, SearchParams)]
pub(crate) struct Filter {
    /// One of three choices.
    which: Option<Which>,
    /// One of three choices, again.
    other: Option<Which>,
    /// A number.
    #[serde(default)]
    number: i16,
}

/// Answers with search parameters. Use it to try each type that fits in one string.
#[operator_api(GET, "/zoo/parameters")]
async fn parameters(
    /// Yes or no.
    flag: bool,
    /// One character.
    letter: Option<char>,
    /// A number.
    #[operator(default = 7, min = 5)]
    least_five: u32,
    /// Any number.
    fraction: Option<f32>,
    /// One of three choices.
    three: Which,
    /// Some text.
    text: String,
    #[operator(flatten)] filter: Filter,
) -> (bool, Option<char>, u32, Option<f32>, Which, String, Filter) {
    (flag, letter, least_five, fraction, three, text, filter)
}

/// Answers with zero. Use it only if `figures` cannot be called.
#[deprecated]
#[operator_api(GET, "/zoo/old")]
async fn old() -> u8 {
    0
}

/// Answers with numbers that were search parameters. Use it to try the widest types and types without zero.
#[operator_api(GET, "/zoo/figures")]
async fn figures(
    /// Any number from one upwards.
    never_zero: NonZeroU32,
    /// Any number except zero.
    signed: Option<NonZeroI16>,
    /// Any number of up to 128 bits.
    wide: u128,
    /// Any number of up to 128 bits, with a sign.
    wide_signed: i128,
    /// A number of quarters.
    #[operator(exclusive_min = -1, multiple_of = 0.25)]
    fraction: Option<f64>,
) -> (NonZeroU32, Option<NonZeroI16>, u128, i128, Option<f64>) {
    (never_zero, signed, wide, wide_signed, fraction)
}
