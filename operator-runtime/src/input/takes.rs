//! Traits that tell the compiler which options an argument's type accepts: those of numbers, texts or lists.

use std::collections::{BTreeSet, HashSet, LinkedList, VecDeque};
use std::num::NonZero;

use super::Number;

/// The options `min`, `max`, `exclusive_min`, `exclusive_max`, `multiple_of`.
#[derive(Debug)]
pub enum Numbers {}

/// The options `min_length`, `max_length`, `pattern`, `format`.
#[derive(Debug)]
pub enum Texts {}

/// The options `min_items`, `max_items`, `unique_items`.
#[derive(Debug)]
pub enum Lists {}

/// A type that accepts the options `O`.
pub trait Takes<O> {
    /// The range of numbers that the type can hold. It has no meaning for other types.
    const RANGE: Range = Range::Real;
}

/// A struct with one field that derives `SearchParam`. The field's type decides which options the struct accepts.
pub trait Newtype {
    /// The type of the field.
    type Field;
}

#[diagnostic::do_not_recommend]
impl<O, T: Newtype<Field: Takes<O>>> Takes<O> for T {
    const RANGE: Range = T::Field::RANGE;
}

/// The range of a numeric type.
#[derive(Clone, Copy, Debug)]
pub enum Range {
    /// Whole numbers from the first to the second.
    Whole(i128, i128),
    /// Any number.
    Real,
}

impl Range {
    /// Whether a bound is a number that the type can hold.
    #[must_use]
    pub const fn holds(self, bound: Number) -> bool {
        match (self, bound) {
            (Self::Whole(least, most), Number::Integer(bound)) => least <= bound && bound <= most,
            (Self::Whole(..), Number::Float(_)) => false,
            (Self::Real, _) => true,
        }
    }
}

/// A numeric input, for the options `min`, `max`, `exclusive_min`, `exclusive_max` and `multiple_of`.
#[diagnostic::on_unimplemented(
    message = "this option is for numbers, and `{Self}` is not a number",
    label = "does not apply to `{Self}`",
    note = "remove the option, or use `min_length` and `max_length` for a string, `min_items` and `max_items` for a list, and `#[schemars(range(min = 1))]` for a field of a struct"
)]
pub trait NumberInput {
    /// The range of numbers that the type can hold.
    #[doc(hidden)]
    const RANGE: Range;
}

/// A text input, for the options `min_length`, `max_length`, `pattern` and `format`.
#[diagnostic::on_unimplemented(
    message = "this option is for strings, and `{Self}` is not a string",
    label = "does not apply to `{Self}`",
    note = "remove the option, or use `min` and `max` for a number, `min_items` and `max_items` for a list, and `#[schemars(length(min = 1))]` for a field of a struct"
)]
pub trait TextInput {
    /// Used by generated code.
    #[doc(hidden)]
    const FITS: () = ();
}

/// A list input, for the options `min_items`, `max_items` and `unique_items`.
#[diagnostic::on_unimplemented(
    message = "this option is for lists, and `{Self}` is not a list",
    label = "does not apply to `{Self}`",
    note = "remove the option, or use `min` and `max` for a number, `min_length` and `max_length` for a string"
)]
pub trait ListInput {
    /// Used by generated code.
    #[doc(hidden)]
    const FITS: () = ();
}

#[diagnostic::do_not_recommend]
impl<T: Takes<Numbers>> NumberInput for T {
    const RANGE: Range = T::RANGE;
}

#[diagnostic::do_not_recommend]
impl<T: Takes<Texts>> TextInput for T {}

#[diagnostic::do_not_recommend]
impl<T: Takes<Lists>> ListInput for T {}

impl<O, T: Takes<O>> Takes<O> for Option<T> {
    const RANGE: Range = T::RANGE;
}

macro_rules! integers {
    ($($integer:ident)*) => {$(
        impl Takes<Numbers> for $integer {
            #[allow(clippy::cast_possible_wrap, reason = "no bound can be in the upper half of u128")]
            const RANGE: Range = Range::Whole(
                $integer::MIN as i128,
                if $integer::MAX as i128 > 0 { $integer::MAX as i128 } else { i128::MAX },
            );
        }

        impl Takes<Numbers> for NonZero<$integer> {
            const RANGE: Range = <$integer as Takes<Numbers>>::RANGE;
        }
    )*};
}

integers! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize }

impl Takes<Numbers> for f32 {}
impl Takes<Numbers> for f64 {}
impl Takes<Texts> for String {}
impl Takes<Texts> for Box<str> {}
impl<T> Takes<Lists> for Vec<T> {}
impl<T> Takes<Lists> for Box<[T]> {}
impl<T> Takes<Lists> for VecDeque<T> {}
impl<T> Takes<Lists> for LinkedList<T> {}
impl<T> Takes<Lists> for BTreeSet<T> {}
impl<T, S> Takes<Lists> for HashSet<T, S> {}
