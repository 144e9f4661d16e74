//! Checks of defaults and examples against the input's type and bounds, while the user's program is compiled.
//!
//! A constant cannot call a function of a trait, but it can use a constant of a trait. So the known properties of a
//! type are constants of [`Shown`], which has its own constants for numbers, texts and booleans. For every other type,
//! the compiler finds the constants of [`AnyShown`], which mean that nothing is known. A value of such a type is
//! validated against the schema at start-up. The names of the constants begin with `__OPERATOR`, and that of the method
//! with `__operator`, so that no trait of the user has an item of the same name.

use std::marker::PhantomData;

use super::{Constraint, Number, Numbers, Range, Takes, Texts};

/// The known properties of an argument's type.
#[derive(Debug)]
pub struct Shown<T>(PhantomData<fn() -> T>);

/// The default properties, for types about which nothing is known.
pub trait AnyShown<T> {
    /// Whether the type is a number.
    const __OPERATOR_IS_NUMBER: bool = false;
    /// Whether the type is a text.
    const __OPERATOR_IS_TEXT: bool = false;
    /// Whether the type is a boolean.
    const __OPERATOR_IS_BOOLEAN: bool = false;
    /// The range of numbers that the type can represent.
    const __OPERATOR_RANGE: Range = Range::Real;
    /// Reads values of the type.
    const __OPERATOR_READ: Unread<T> = Unread(PhantomData);
}

impl<T> AnyShown<T> for Shown<T> {}

impl<T: Takes<Numbers>> Shown<T> {
    /// Whether the type is a number.
    pub const __OPERATOR_IS_NUMBER: bool = true;
    /// The range of numbers that the type can represent.
    pub const __OPERATOR_RANGE: Range = <T as Takes<Numbers>>::RANGE;
}

impl<T: Takes<Texts>> Shown<T> {
    /// Whether the type is a text.
    pub const __OPERATOR_IS_TEXT: bool = true;
}

impl Shown<bool> {
    /// Whether the type is a boolean.
    pub const __OPERATOR_IS_BOOLEAN: bool = true;
}

impl Shown<Option<bool>> {
    /// Whether the type is a boolean.
    pub const __OPERATOR_IS_BOOLEAN: bool = true;
}

/// A type whose values cannot be read in a constant.
#[derive(Debug)]
pub struct Unread<T>(PhantomData<fn() -> T>);

impl<T> Unread<T> {
    /// Always `None`, because the value is not known.
    #[must_use]
    pub const fn __operator_number(self, _value: &T) -> Option<Number> {
        None
    }
}

macro_rules! integers {
    ($($integer:ident)*) => {$(
        impl Shown<$integer> {
            /// Reads values of the type.
            pub const __OPERATOR_READ: Self = Self(PhantomData);

            /// The value as a number; `None` if it is larger than any bound can be.
            #[must_use]
            #[allow(clippy::cast_possible_wrap, clippy::cast_lossless, reason = "a value above `i128::MAX` is `None`")]
            pub const fn __operator_number(self, value: &$integer) -> Option<Number> {
                let number = *value as i128;
                if $integer::MIN == 0 && number < 0 { None } else { Some(Number::Integer(number)) }
            }
        }
    )*};
}

integers! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize }

macro_rules! floats {
    ($($float:ident)*) => {$(
        impl Shown<$float> {
            /// Reads values of the type.
            pub const __OPERATOR_READ: Self = Self(PhantomData);

            /// The value as a number.
            #[must_use]
            #[allow(clippy::cast_lossless, reason = "`From` cannot be used in constants")]
            pub const fn __operator_number(self, value: &$float) -> Option<Number> {
                Some(Number::Float(*value as f64))
            }
        }
    )*};
}

floats! { f32 f64 }

impl Constraint {
    /// Whether a number satisfies the constraint; true if there is no number to check.
    #[must_use]
    pub const fn keeps(self, value: Option<Number>) -> bool {
        let Some(value) = value else { return true };
        match self {
            Self::Min(bound) => !value.is_below(bound),
            Self::Max(bound) => !bound.is_below(value),
            Self::ExclusiveMin(bound) => bound.is_below(value),
            Self::ExclusiveMax(bound) => value.is_below(bound),
            Self::MultipleOf(step) => value.is_multiple_of(step),
            Self::MinLength(_)
            | Self::MaxLength(_)
            | Self::Pattern(_)
            | Self::Format(_)
            | Self::MinItems(_)
            | Self::MaxItems(_)
            | Self::UniqueItems => true,
        }
    }
}

impl Number {
    const fn is_below(self, other: Self) -> bool {
        match (self, other) {
            (Self::Integer(number), Self::Integer(other)) => number < other,
            _ => self.real() < other.real(),
        }
    }

    const fn is_multiple_of(self, step: Self) -> bool {
        match (self, step) {
            (Self::Integer(number), Self::Integer(step)) => step != 0 && number % step == 0,
            _ => {
                let quotient = self.real() / step.real();
                // A tolerance is needed, because 0.3 divided by 0.1 is not exactly 3.
                (quotient - quotient.round()).abs() < 1e-9
            }
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "the result is only compared with floats")]
    const fn real(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Float(float) => float,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Option<u8> = Some(3);

    #[test]
    fn a_constant_is_read_where_its_type_is_a_number() {
        type Cents = u32;
        assert_eq!(
            Shown::<Cents>::__OPERATOR_READ.__operator_number(&50),
            Some(Number::Integer(50))
        );
        assert_eq!(
            Shown::<f32>::__OPERATOR_READ.__operator_number(&0.5),
            Some(Number::Float(0.5))
        );
        assert_eq!(Shown::<u128>::__OPERATOR_READ.__operator_number(&u128::MAX), None);
        assert_eq!(Shown::<Option<u8>>::__OPERATOR_READ.__operator_number(&FIRST), None);
    }

    #[test]
    fn the_properties_of_a_type_are_known() {
        let known = [
            (
                Shown::<Option<u8>>::__OPERATOR_IS_NUMBER,
                Shown::<Option<u8>>::__OPERATOR_IS_TEXT,
            ),
            (
                Shown::<String>::__OPERATOR_IS_NUMBER,
                Shown::<String>::__OPERATOR_IS_TEXT,
            ),
            (Shown::<bool>::__OPERATOR_IS_NUMBER, Shown::<bool>::__OPERATOR_IS_TEXT),
        ];
        assert_eq!(known, [(true, false), (false, true), (false, false)]);
        assert!(!Shown::<Option<u8>>::__OPERATOR_RANGE.holds(Number::Integer(300)));
        assert!(Shown::<String>::__OPERATOR_RANGE.holds(Number::Integer(300)));
    }

    #[test]
    fn integer_and_float_bounds_are_checked() {
        let half = Some(Number::Float(0.5));
        let three = Some(Number::Integer(3));
        for (constraint, value, kept) in [
            (Constraint::Min(Number::Integer(0)), half, true),
            (Constraint::Max(Number::Float(0.4)), half, false),
            (Constraint::ExclusiveMin(Number::Integer(3)), three, false),
            (Constraint::ExclusiveMax(Number::Float(3.1)), three, true),
            (Constraint::MultipleOf(Number::Integer(2)), three, false),
            (
                Constraint::MultipleOf(Number::Float(0.1)),
                Some(Number::Float(0.3)),
                true,
            ),
            (Constraint::MultipleOf(Number::Float(0.2)), half, false),
            (Constraint::MinLength(9), three, true),
            (Constraint::Min(Number::Integer(9)), None, true),
        ] {
            assert_eq!(constraint.keeps(value), kept, "{constraint:?} {value:?}");
        }
    }
}
