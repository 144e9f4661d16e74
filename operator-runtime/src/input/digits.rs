//! Rules about the digits of a number, for which JSON Schema has no keyword: a number of 128 bits is in its range, and a
//! decimal number keeps all of its digits.
//!
//! serde reads most JSON numbers as an `f64`, even for a decimal type. So a JSON number that an `f64` rounds is refused
//! for such a type, as is a number with more digits than the type has.

use jsonschema::json::Node as _;
use jsonschema::{Keyword, ValidationError};
use serde_json::Value;

use super::document::{Indexed, Node, is_fraction, whole};
use super::found::shortened;
use super::sentence::integer_in_words;

/// The keyword [`DIGITS`](crate::schema::exact::DIGITS).
#[derive(Clone, Copy)]
pub(super) enum Digits {
    Decimal,
    Signed,
    Unsigned,
}

impl Digits {
    pub(super) fn of(value: &Value) -> Self {
        match value.as_str() {
            Some("int128") => Self::Signed,
            Some("uint128") => Self::Unsigned,
            _ => Self::Decimal,
        }
    }

    /// What is wrong with the value, as the end of a sentence. A value of another type breaks the rule of its type.
    fn mistake(self, value: Node<'_>) -> Option<String> {
        if !value.is_number() {
            let text = value.as_string().filter(|_| matches!(self, Self::Decimal))?;
            return (!Decimal::of(&text)?.fits()).then(too_many_digits);
        }
        let written = value.written()?;
        match self {
            Self::Decimal => mistake_of_decimal(written),
            Self::Signed => mistake_of_integer(written, "i128", |digits| digits.parse::<i128>().is_ok()),
            // A negative number breaks the rule of its minimum.
            Self::Unsigned if written.starts_with('-') => None,
            Self::Unsigned => mistake_of_integer(written, "u128", |digits| digits.parse::<u128>().is_ok()),
        }
    }
}

impl<'i> Keyword<'i, Indexed> for Digits {
    fn validate(&self, value: Node<'i>) -> Result<(), ValidationError<'i>> {
        match self.mistake(value) {
            Some(mistake) => Err(ValidationError::custom(mistake)),
            None => Ok(()),
        }
    }

    fn is_valid(&self, value: Node<'i>) -> bool {
        self.mistake(value).is_none()
    }
}

fn mistake_of_integer(written: &str, name: &str, fits: fn(&str) -> bool) -> Option<String> {
    let is_one = if is_fraction(written) {
        // A number that is not whole breaks the rule of its type.
        let is_no_integer = || Decimal::of(written).is_some_and(|number| number.exponent < 0);
        whole(written).map_or_else(is_no_integer, |digits| fits(&digits))
    } else {
        fits(written)
    };
    let range = integer_in_words(name).filter(|_| !is_one)?;
    Some(format!("must be {range}, and {} was given", shortened(written)))
}

fn mistake_of_decimal(written: &str) -> Option<String> {
    let Some(decimal) = Decimal::of(written).filter(Decimal::fits) else {
        return Some(too_many_digits());
    };
    let is_integer = written.parse::<i64>().is_ok() || written.parse::<u64>().is_ok();
    // As serde_json reads it, which can differ from `str::parse` in the last digit.
    let as_float = || Decimal::of(&format!("{:e}", serde_json::from_str::<f64>(written).ok()?));
    if is_integer || as_float() == Some(decimal) {
        return None;
    }
    let written = shortened(written);
    Some(format!(
        "must be sent as text, \"{written}\", because the last digits of this JSON number would be lost"
    ))
}

fn too_many_digits() -> String {
    format!("must be a decimal number of at most {} digits", Decimal::PLACES)
}

/// A number without its sign: `digits · 10^exponent`. The first and the last digit are not zeros, so equal
/// numbers have equal digits.
#[derive(PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) digits: String,
    pub(super) exponent: i64,
}

impl Decimal {
    /// The largest number without its decimal point: an integer of 96 bits.
    const MOST: u128 = (1 << 96) - 1;
    /// The largest number of digits after the decimal point.
    const PLACES: i64 = 28;

    /// Reads a number; `None` if the text is not a number, or if its exponent does not fit into an `i64`.
    pub(super) fn of(number: &str) -> Option<Self> {
        let number = number.strip_prefix('-').unwrap_or(number);
        let (number, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let all = format!("{whole}{fraction}");
        if !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = all.trim_end_matches('0');
        let (zeros, places) = (all.len() - digits.len(), fraction.len());
        let digits = digits.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { digits, exponent: 0 });
        }
        let exponent: i64 = exponent.parse().ok()?;
        let exponent = exponent.checked_add_unsigned(zeros as u64)?;
        let exponent = exponent.checked_sub_unsigned(places as u64)?;
        Some(Self { digits, exponent })
    }

    /// Whether the type can have these digits.
    fn fits(&self) -> bool {
        let zeros = u32::try_from(self.exponent.max(0)).ok();
        let factor = zeros.and_then(|zeros| 10_u128.checked_pow(zeros));
        // A zero has no digits.
        let digits = format!("0{}", self.digits).parse::<u128>().ok();
        let integer = digits
            .zip(factor)
            .and_then(|(digits, factor)| digits.checked_mul(factor));
        self.exponent >= -Self::PLACES && integer.is_some_and(|integer| integer <= Self::MOST)
    }
}
