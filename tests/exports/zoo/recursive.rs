//! Recursive enums in each of serde's representations, with two to six variants. They are not part of the zoo's
//! program, because TypeScript cannot name a type that is a map of itself.

use std::collections::{BTreeMap, BTreeSet};

use operator_runtime::operator_api;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A calculation, in serde's internally tagged form.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "op")]
pub(crate) enum Sum {
    Add { left: Box<Sum>, right: Box<Sum> },
    Sub { left: Box<Sum>, right: Box<Sum> },
    Mul { left: Box<Sum>, right: Box<Sum> },
    Div { left: Box<Sum>, right: Box<Sum> },
    Num { value: f64 },
}

/// Answers with a calculation. Use it to try recursion with an internal tag.
#[operator_api(POST, "/zoo/sum", read_only)]
async fn sum(
    /// The value to try.
    value: Sum,
) -> Sum {
    value
}

/// One of two variants, in serde's internally tagged form.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
pub(crate) enum Chain {
    Link { next: Option<Box<Chain>>, also: Vec<Chain> },
    End { value: u8 },
}

/// Answers with a chain. Use it to try recursion through options and lists.
#[operator_api(POST, "/zoo/chain", read_only)]
async fn chain(
    /// The value to try.
    value: Chain,
) -> Chain {
    value
}

/// An enum in serde's default form, externally tagged.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) enum Outer {
    Number(u8),
    Boxed(Box<Outer>),
    Listed(Vec<Outer>),
    Mapped(BTreeMap<String, Outer>),
    Maybe(Option<Box<Outer>>),
    Both { left: Box<Outer>, right: Box<Outer> },
}

/// Answers with nested variants. Use it to try recursion with an external tag.
#[operator_api(POST, "/zoo/outer", read_only)]
async fn outer(
    /// The value to try.
    value: Outer,
) -> Outer {
    value
}

/// An enum in serde's adjacently tagged form.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "is", content = "of")]
pub(crate) enum Beside {
    Number(f64),
    Not(Box<Beside>),
    All(Vec<Beside>),
    Named(BTreeMap<String, Beside>),
}

/// Answers with nested contents. Use it to try recursion with an adjacent tag.
#[operator_api(POST, "/zoo/beside", read_only)]
async fn beside(
    /// The value to try.
    value: Beside,
) -> Beside {
    value
}

/// An untagged enum whose variants have nothing in common.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Any {
    Number(f64),
    Flag(bool),
    List(Vec<Any>),
    Map(BTreeMap<String, Any>),
}

/// Answers with anything. Use it to try recursion without a tag.
#[operator_api(POST, "/zoo/anything", read_only)]
async fn anything(
    /// The value to try.
    value: Any,
) -> Any {
    value
}

/// An untagged enum whose variants look alike, so that several fit at first.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Alike {
    One { inner: Box<Alike>, one: Option<u8> },
    Two { inner: Box<Alike>, two: Option<u8> },
    Three { inner: Option<Box<Alike>>, three: u8 },
}

/// Answers with one of several similar forms. Use it to try recursion where the forms are hard to tell apart.
#[operator_api(POST, "/zoo/alike", read_only)]
async fn alike(
    /// The value to try.
    value: Alike,
) -> Alike {
    value
}

/// An even number, which its schema does not say.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "u8")]
#[schemars(with = "u8")]
pub(crate) struct Even(u8);

impl TryFrom<u8> for Even {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        if number.is_multiple_of(2) {
            Ok(Self(number))
        } else {
            Err("is odd")
        }
    }
}

/// An untagged enum whose variants look alike, and whose innermost value only its type can refuse.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Picky {
    One { inner: Box<Picky>, one: Option<u8> },
    Two { inner: Box<Picky>, two: Option<u8> },
    Three { inner: Option<Box<Picky>>, three: Even },
}

/// Answers with one of several similar forms. Use it to try values that fit their schema but not their type.
#[operator_api(POST, "/zoo/picky", read_only)]
async fn picky(
    /// The value to try.
    value: Picky,
) -> Picky {
    value
}

/// A struct with a flattened enum that contains the struct.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Step {
    id: u8,
    #[serde(flatten)]
    what: What,
}

/// What a step is.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "what")]
pub(crate) enum What {
    After { step: Box<Step> },
    First { value: Even },
}

/// Answers with a step. Use it to try recursion through a flattened enum.
#[operator_api(POST, "/zoo/step", read_only)]
async fn step(
    /// The value to try.
    value: Step,
) -> Step {
    value
}

/// A struct with a flattened map of the struct.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Folder {
    id: Even,
    #[serde(flatten)]
    folders: BTreeMap<String, Folder>,
}

/// Answers with a folder. Use it to try recursion through a flattened map.
#[operator_api(POST, "/zoo/folder", read_only)]
async fn folder(
    /// The value to try.
    value: Folder,
) -> Folder {
    value
}

/// An untagged enum of which only one form is not null.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Queue {
    Empty,
    Then { value: Even, rest: Box<Queue> },
}

/// Answers with a queue. Use it to try recursion through an untagged enum with an empty form.
#[operator_api(POST, "/zoo/queue", read_only)]
async fn queue(
    /// The value to try.
    value: Queue,
) -> Queue {
    value
}

/// A struct that contains itself.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Node {
    value: u8,
    next: Option<Box<Node>>,
}

/// A contact.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Contact {
    name: String,
    phone: Option<String>,
}

/// A set that contains sets.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Bag {
    bags: BTreeSet<Bag>,
    also: u8,
}

/// Answers with the number of values. Use it to try long lists and long chains.
#[operator_api(POST, "/zoo/many", read_only)]
async fn many(
    /// A few contacts.
    #[operator(max_items = 10)]
    contacts: Option<Vec<Contact>>,
    /// A chain.
    node: Option<Node>,
    /// Maps, each of which takes far more memory than its text.
    maps: Option<Vec<BTreeMap<String, String>>>,
    /// Lists without duplicates.
    #[operator(unique_items)]
    sets: Option<Vec<BTreeMap<String, u8>>>,
    /// Sets in sets.
    bag: Option<Bag>,
) -> usize {
    let chain = std::iter::successors(node.as_ref(), |node| node.next.as_deref());
    contacts.map_or(0, |list| list.len())
        + chain.count()
        + maps.map_or(0, |list| list.len())
        + sets.map_or(0, |list| list.len())
        + bag.map_or(0, |bag| bag.bags.len())
}
