//! GET inputs: types that are written as one text.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZero;

use schemars::{Schema, json_schema};

use super::{Decoder, Input};

/// A type that a search parameter can hold: one text.
///
/// Integers, floats, `bool`, `char`, `String`, `NonZero*` and `Option` of them are; enums of unit variants and structs
/// of one field derive it.
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
    /// Reads it from the decoded text of the parameter.
    ///
    /// # Errors
    /// What would have been right, as the end of the sentence "`name` must be …".
    fn from_text(text: &str) -> Result<Self, Expected>;

    /// Its JSON Schema.
    fn schema() -> Schema;

    /// What it is where the parameter is left out; `None` where it must not be.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }
}

/// What a GET takes as an input: a [`SearchParam`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an input of a GET",
    label = "is not a search parameter",
    note = "each input of a GET is a search parameter, which holds a single value: take lists, maps and structs in a POST, or derive `SearchParam` for an enum of unit variants or a struct with one field"
)]
pub trait SearchInput: Sized {
    /// What is known of it without its name.
    #[doc(hidden)]
    const INPUT: Input;

    /// The input of that index; `None` where it is wrong, which the decoder remembers.
    #[doc(hidden)]
    fn decode(decoder: &mut Decoder<'_>, index: usize) -> Option<Self>;

    /// The same, with a default for where it is left out.
    #[doc(hidden)]
    fn decode_or(decoder: &mut Decoder<'_>, index: usize, default: fn() -> Self) -> Option<Self>;

    /// [`SearchParam::from_text`], for the one field of a struct.
    ///
    /// # Errors
    /// What would have been right.
    #[doc(hidden)]
    fn read(text: &str) -> Result<Self, Expected>;

    /// [`SearchParam::schema`], with the words of the struct whose one field it is.
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

/// What would have been right: the end of the sentence "`name` must be …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected(Cow<'static, str>);

impl Expected {
    /// From words such as "a whole number from 0 to 255".
    pub fn new(words: impl Into<Cow<'static, str>>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A variant by its name on the wire.
pub type Variant<T> = (&'static str, fn() -> T);

/// Used by `#[derive(SearchParam)]` on an enum: the variant of that name.
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

/// Used by `#[derive(SearchParam)]` on an enum: its schema. Of each variant the name on the wire, the description, and
/// whether it is deprecated.
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

/// A number as JSON writes it (RFC 8259 §6), which is the one way to write one in a search parameter too: no `+3`, no
/// `.5`, no `007`, no spaces around it.
pub(super) fn number(text: &str) -> Option<serde_json::Number> {
    let bare = text.trim_ascii() == text;
    serde_json::from_str(text).ok().filter(|_| bare)
}

/// The digits of a whole number: `5` for `5.0` and for `5e0`, which JSON Schema takes for the same (§4.2.3 of its core),
/// and `0` for `-0`, which Rust's unsigned types do not read.
fn whole(text: &str) -> Option<Cow<'_, str>> {
    let number = number(text)?;
    if number.as_f64() == Some(0.0) {
        return Some(Cow::Borrowed("0"));
    }
    if let Some((whole, zeros)) = text.split_once('.')
        && zeros.bytes().all(|digit| digit == b'0')
    {
        return Some(Cow::Borrowed(whole));
    }
    if !text.contains(['.', 'e', 'E']) {
        return Some(Cow::Borrowed(text));
    }
    let number = number.as_f64().filter(|number| number.fract() == 0.0)?;
    Some(Cow::Owned(format!("{number:.0}")))
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
                // JSON has no infinities and no NaN, and the schema says "number".
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
