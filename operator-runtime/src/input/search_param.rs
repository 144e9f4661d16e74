//! GET inputs: types whose values are written as a single text.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZero;

use schemars::{Schema, json_schema};

use super::document::{self, is_fraction};
use super::{Decoder, Input};

/// A type that a search parameter can have: a value written as a single text.
///
/// This trait is implemented for integers, floats, `bool`, `char`, `String`, `NonZero*` and `Option`s of them. Derive
/// it for enums of unit variants and for structs with one field.
///
/// ```
/// use operator_runtime::SearchParam;
///
/// /// How fast an answer is needed.
/// #[derive(SearchParam, Debug, PartialEq)]
/// #[serde(rename_all = "lowercase")]
/// enum Priority {
///     Low,
///     Urgent,
/// }
///
/// assert_eq!(Priority::from_text("urgent").unwrap(), Priority::Urgent);
/// assert!(Priority::from_text("URGENT").is_err());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an input of a GET",
    label = "is not a search parameter",
    note = "each input of a GET is a search parameter, which holds a single value: take lists, maps and structs in a POST, or derive `SearchParam` for an enum of unit variants or a struct with one field"
)]
pub trait SearchParam: Sized + Send {
    /// Parses the decoded text of the parameter.
    ///
    /// # Errors
    /// What is accepted, as the end of the sentence "`name` must be …".
    fn from_text(text: &str) -> Result<Self, Expected>;

    /// The JSON Schema of the type.
    fn schema() -> Schema;

    /// The value if the parameter is left out; `None` if the parameter is required.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }
}

/// A type that can be an input of a GET: every [`SearchParam`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an input of a GET",
    label = "is not a search parameter",
    note = "each input of a GET is a search parameter, which holds a single value: take lists, maps and structs in a POST, or derive `SearchParam` for an enum of unit variants or a struct with one field",
    note = "a type of chrono, jiff, rust_decimal, time, url or uuid needs the feature of that name of `operator-runtime`",
    note = "an axum extractor such as `State<T>`, `Query<T>` or `Json<T>` is not an input: borrow app state as `&T`, take each field as an argument or the struct as `#[operator(flatten)]`, and write `#[operator(extract)]` for another extractor"
)]
pub trait SearchInput: Sized {
    /// The description of the input, without its name.
    #[doc(hidden)]
    const INPUT: Input;

    /// Decodes the input with that index. If the input is wrong, returns `None`, and the decoder remembers the problem.
    #[doc(hidden)]
    fn decode(decoder: &mut Decoder<'_>, index: usize) -> Option<Self>;

    /// Like `decode`, but returns the default if the input is not given.
    #[doc(hidden)]
    fn decode_or(decoder: &mut Decoder<'_>, index: usize, default: fn() -> Self) -> Option<Self>;

    /// Calls [`SearchParam::from_text`], for the one field of a struct.
    ///
    /// # Errors
    /// What is accepted.
    #[doc(hidden)]
    fn read(text: &str) -> Result<Self, Expected>;

    /// For a struct with one field, whose type is `Self`: returns the field type's [`SearchParam::schema`], with the
    /// struct's description.
    #[doc(hidden)]
    fn described(description: &'static str) -> Schema;
}

#[diagnostic::do_not_recommend]
impl<T: SearchParam> SearchInput for T {
    const INPUT: Input = Input::new(None, T::schema, accepts_absence::<T>);

    fn decode(decoder: &mut Decoder<'_>, index: usize) -> Option<Self> {
        decoder.search_param(index)
    }

    fn decode_or(decoder: &mut Decoder<'_>, index: usize, default: fn() -> Self) -> Option<Self> {
        decoder.search_param_or(index, default)
    }

    fn read(text: &str) -> Result<Self, Expected> {
        T::from_text(text)
    }

    fn described(description: &'static str) -> Schema {
        let mut schema = T::schema();
        describe(&mut schema, description);
        schema
    }
}

fn accepts_absence<T: SearchParam>() -> bool {
    T::absent().is_some()
}

/// What a parameter accepts: the end of the sentence "`name` must be …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected(Cow<'static, str>);

impl Expected {
    /// Makes an `Expected` of words such as "a whole number from 0 to 255".
    pub fn new(words: impl Into<Cow<'static, str>>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The name of a variant on the wire, and its constructor.
pub type Variant<T> = (&'static str, fn() -> T);

/// Used by `#[derive(SearchParam)]` on an enum: returns the variant with the name `text`.
///
/// # Errors
/// The known names.
pub fn choose<T>(text: &str, variants: &[Variant<T>]) -> Result<T, Expected> {
    variants.iter().find(|(name, _)| *name == text).map_or_else(
        || {
            Err(Expected::new(super::sentence::one_of(
                variants.iter().map(|(name, _)| *name),
            )))
        },
        |(_, variant)| Ok(variant()),
    )
}

/// Used by `#[derive(SearchParam)]` on an enum: returns the schema. `variants` lists each variant's name on the wire,
/// its description, and whether it is deprecated.
#[must_use]
pub fn choices(variants: &[(&'static str, &'static str, bool)], description: &'static str) -> Schema {
    let documented = variants
        .iter()
        .any(|(_, description, deprecated)| !description.is_empty() || *deprecated);
    let mut schema = if documented {
        let choices = variants.iter().map(|(name, description, deprecated)| {
            let mut choice = json_schema!({ "const": name });
            describe(&mut choice, description);
            if *deprecated {
                choice.insert("deprecated".into(), true.into());
            }
            choice
        });
        json_schema!({ "type": "string", "oneOf": choices.collect::<Vec<_>>() })
    } else {
        json_schema!({ "type": "string", "enum": variants.iter().map(|(name, ..)| *name).collect::<Vec<_>>() })
    };
    describe(&mut schema, description);
    schema
}

fn describe(schema: &mut Schema, description: &str) {
    if !description.is_empty() {
        schema.insert("description".into(), description.into());
    }
}

/// Parses a number in JSON notation (RFC 8259 §6), the only notation in search parameters too: `+3`, `.5`, `007` and
/// spaces around the number are refused.
pub(super) fn number(text: &str) -> Option<serde_json::Number> {
    let bare = text.trim_ascii() == text;
    serde_json::from_str(text).ok().filter(|_| bare)
}

/// The digits of a whole number: `5` for `5.0` and `5e0`, which are equal in JSON Schema (core §4.2.3), and `0` for
/// `-0`, which Rust's unsigned types do not parse.
fn whole(text: &str) -> Option<Cow<'_, str>> {
    number(text)?;
    if is_fraction(text) {
        document::whole(text).map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(text))
    }
}

macro_rules! integers {
    ($($integer:ident)*) => {$(
        impl SearchParam for $integer {
            fn from_text(text: &str) -> Result<Self, Expected> {
                whole(text).and_then(|digits| digits.parse().ok()).ok_or_else(|| Expected::new(
                    format!("a whole number from {} to {}", Self::MIN, Self::MAX),
                ))
            }

            fn schema() -> Schema {
                crate::schema::of_input::<Self>()
            }
        }

        impl SearchParam for NonZero<$integer> {
            fn from_text(text: &str) -> Result<Self, Expected> {
                whole(text).and_then(|digits| digits.parse().ok()).ok_or_else(|| Expected::new(
                    format!("a whole number from {} to {} and not 0", Self::MIN, Self::MAX),
                ))
            }

            fn schema() -> Schema {
                crate::schema::of_input::<Self>()
            }
        }
    )*};
}

integers! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize }

macro_rules! floats {
    ($($float:ident)*) => {$(
        impl SearchParam for $float {
            fn from_text(text: &str) -> Result<Self, Expected> {
                // The schema says "number", so only numbers in JSON notation are accepted. Infinities and NaN have no
                // JSON notation.
                number(text)
                    .and_then(|_| text.parse().ok())
                    .filter(|number: &Self| number.is_finite())
                    .ok_or(Expected::new("a number"))
            }

            fn schema() -> Schema {
                crate::schema::of_input::<Self>()
            }
        }
    )*};
}

floats! { f32 f64 }

impl SearchParam for bool {
    fn from_text(text: &str) -> Result<Self, Expected> {
        text.parse().map_err(|_| Expected::new("`true` or `false`"))
    }

    fn schema() -> Schema {
        crate::schema::of_input::<Self>()
    }
}

impl SearchParam for char {
    fn from_text(text: &str) -> Result<Self, Expected> {
        text.parse().map_err(|_| Expected::new("exactly one character"))
    }

    fn schema() -> Schema {
        crate::schema::of_input::<Self>()
    }
}

impl SearchParam for String {
    fn from_text(text: &str) -> Result<Self, Expected> {
        Ok(text.to_owned())
    }

    fn schema() -> Schema {
        crate::schema::of_input::<Self>()
    }
}

impl<T: SearchParam> SearchParam for Option<T> {
    fn from_text(text: &str) -> Result<Self, Expected> {
        T::from_text(text).map(Some)
    }

    fn schema() -> Schema {
        T::schema()
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}
