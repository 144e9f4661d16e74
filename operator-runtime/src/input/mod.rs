//! Inputs: how the macro describes them, and how a verified call is decoded into arguments.

mod attempts;
pub(crate) mod audited;
mod bound;
mod buffered;
mod decoder;
pub(crate) mod deep;
mod digits;
mod document;
mod explain;
#[cfg(any(
    feature = "chrono",
    feature = "jiff",
    feature = "rust_decimal",
    feature = "time",
    feature = "url",
    feature = "uuid"
))]
mod foreign;
mod form;
mod found;
mod given;
mod identity;
mod json;
mod mistake;
mod property;
mod rules;
mod search_param;
mod search_params;
mod sentence;
mod shape;
mod shown;
mod suggestion;
mod summed;
mod takes;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests;
mod trial;

use std::borrow::Cow;

use schemars::Schema;
use serde::Serialize;

#[cfg(feature = "cli")]
pub(crate) use bound::compile;
pub(crate) use bound::{BoundInputs, Effort, is_email};
pub(crate) use decoder::{Arguments, Decoder, Verdict, refuse_unreadable};
pub(crate) use identity::identity;
pub use json::{FlattenInput, JsonInput};
pub use search_param::{Expected, SearchInput, SearchParam, Variant, choices, choose};
pub use search_params::{FlattenSearch, SearchParams};
pub(crate) use sentence::{one_of, without_position};
pub use shown::{AnyShown, Shown};
pub(crate) use suggestion::nearest;
pub use summed::SummedInput;
pub use takes::{ListInput, Lists, Newtype, NumberInput, Numbers, Range, Takes, TextInput, Texts};
#[cfg(feature = "cli")]
pub(crate) use trial::samples::of as samples_of;

/// The name of a type in schemas.
pub(crate) type TypeName = fn() -> Cow<'static, str>;

/// One input as the macro describes it.
#[derive(Debug)]
pub struct Input {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    /// For a flattened input, the name of the type whose fields are the inputs.
    pub(crate) flatten: Option<TypeName>,
    pub(crate) schema: fn() -> Schema,
    pub(crate) optional: fn() -> bool,
    /// Decodes a value as the input's type; `None` for a search parameter.
    pub(crate) tried: Option<fn(&serde_json::Value) -> trial::Tried>,
    /// Whether the type alone decides which values are accepted.
    pub(crate) lenient: bool,
    pub(crate) default: Option<fn() -> serde_json::Value>,
    pub(crate) example: Option<fn() -> serde_json::Value>,
    pub(crate) constraints: &'static [Constraint],
    /// Whether the value is left out of the audit.
    pub(crate) secret: bool,
    /// The lints that the author has allowed for this input.
    pub allowed: &'static [&'static str],
}

/// A constraint that an option of the argument adds to its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constraint {
    /// The smallest number.
    Min(Number),
    /// The largest number.
    Max(Number),
    /// The number must be greater than this.
    ExclusiveMin(Number),
    /// The number must be less than this.
    ExclusiveMax(Number),
    /// The number must be a multiple of this.
    MultipleOf(Number),
    /// The smallest number of characters.
    MinLength(u64),
    /// The largest number of characters.
    MaxLength(u64),
    /// A regular expression that must match a part of the text.
    Pattern(&'static str),
    /// One of JSON Schema's formats.
    Format(&'static str),
    /// The smallest number of items.
    MinItems(u64),
    /// The largest number of items.
    MaxItems(u64),
    /// All items must be different.
    UniqueItems,
}

/// A bound, as written in the option.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Integer(i128),
    /// Any other number.
    Float(f64),
}

impl Input {
    pub(super) const fn new(flatten: Option<TypeName>, schema: fn() -> Schema, optional: fn() -> bool) -> Self {
        Self {
            name: "",
            description: "",
            flatten,
            schema,
            optional,
            tried: None,
            lenient: false,
            default: None,
            example: None,
            constraints: &[],
            secret: false,
            allowed: &[],
        }
    }

    /// Sets how the input's type decodes a value.
    const fn tried(mut self, tried: fn(&serde_json::Value) -> trial::Tried) -> Self {
        self.tried = Some(tried);
        self
    }

    /// Lets the type alone decide which values are accepted.
    #[must_use]
    pub const fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Sets the name on the wire and the description.
    #[must_use]
    pub const fn named(mut self, name: &'static str, description: &'static str) -> Self {
        self.name = name;
        self.description = description;
        self
    }

    /// Sets the constraints.
    #[must_use]
    pub const fn constraints(mut self, constraints: &'static [Constraint]) -> Self {
        self.constraints = constraints;
        self
    }

    /// Leaves the value out of the audit.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Sets the lints that the author has allowed.
    #[must_use]
    pub const fn allowed(mut self, lints: &'static [&'static str]) -> Self {
        self.allowed = lints;
        self
    }

    /// Sets the value that is used if the caller leaves the input out.
    #[must_use]
    pub const fn default(mut self, default: fn() -> serde_json::Value) -> Self {
        self.default = Some(default);
        self
    }

    /// Sets an example value that a person can try.
    #[must_use]
    pub const fn example(mut self, example: fn() -> serde_json::Value) -> Self {
        self.example = Some(example);
        self
    }

    /// The input in a message.
    fn label(&self) -> String {
        match self.flatten {
            Some(type_name) => format!("the flattened `{}`", type_name()),
            None => format!("the input `{}`", self.name),
        }
    }

    pub(crate) fn is_required(&self) -> bool {
        self.default.is_none() && !(self.optional)()
    }
}

/// The value of a default or an example, which the schema shows as JSON.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be shown in the schema",
    label = "must be `Serialize`",
    note = "the schema shows defaults and examples to callers: derive `serde::Serialize` for the type"
)]
pub trait SchemaValue {
    /// The value as JSON; null if the value cannot be serialized.
    #[doc(hidden)]
    fn value(self) -> serde_json::Value;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> SchemaValue for T {
    fn value(self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
