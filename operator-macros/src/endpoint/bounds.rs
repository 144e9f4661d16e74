//! Checks literal bounds against each other, and literal defaults and examples against the bounds.

use std::cmp::Ordering;

use proc_macro2::Ident;
use syn::Expr;

use super::constraint::{Options, Value};
use super::literal::{NumberLiteral, string_of};
use super::pattern;
use crate::error::Errors;

/// The options that set the lower and the upper bound, and whether a value may be equal to the bound.
const LOWER: [(&str, bool); 2] = [("min", true), ("exclusive_min", false)];
const UPPER: [(&str, bool); 2] = [("max", true), ("exclusive_max", false)];

/// Reports bounds that no value satisfies, and a default or an example that does not satisfy the bounds.
pub(crate) fn check(options: &Options, errors: &mut Errors) {
    for (end, first, second) in [("lower", "min", "exclusive_min"), ("upper", "max", "exclusive_max")] {
        if let (Some(_), Some((name, _))) = (find(options, first), find(options, second)) {
            let wrong = format!("`{first}` and `{second}` both set the {end} bound");
            errors.at(name, wrong, "remove one");
        }
    }
    for (least, least_allowed) in LOWER {
        for (most, most_allowed) in UPPER {
            check_pair(options, least, most, least_allowed && most_allowed, errors);
        }
    }
    check_pair(options, "min_length", "max_length", true, errors);
    check_pair(options, "min_items", "max_items", true, errors);
    if let Some((_, step)) = find(options, "multiple_of")
        && !step.is_positive()
    {
        let wrong = format!("`multiple_of = {step}` is not positive");
        errors.at(step, wrong, "use a number greater than 0");
    }
    let default = options.default.iter().flatten().map(|value| ("default", value));
    for (what, value) in default.chain(options.example.iter().map(|value| ("example", value))) {
        check_value(options, what, value, errors);
    }
}

fn find<'o>(options: &'o Options, name: &str) -> Option<(&'o Ident, &'o NumberLiteral)> {
    let constraint = options.constraints.iter().find(|constraint| constraint.name == name)?;
    match &constraint.value {
        Value::Number(bound) | Value::Count(bound) => Some((&constraint.name, bound)),
        Value::Text(_) | Value::Nothing => None,
    }
}

fn check_pair(options: &Options, least: &str, most: &str, both_allowed: bool, errors: &mut Errors) {
    let (Some((_, low)), Some((_, high))) = (find(options, least), find(options, most)) else {
        return;
    };
    let empty = match low.compare(high) {
        Some(Ordering::Greater) => true,
        Some(Ordering::Equal) => !both_allowed,
        _ => false,
    };
    if empty {
        let wrong = format!("no value satisfies both `{least} = {low}` and `{most} = {high}`");
        errors.at(high, wrong, format!("raise `{most}` or lower `{least}`"));
    }
}

/// Reports a default or an example that the endpoint would reject if a caller sent it.
fn check_value(options: &Options, what: &str, value: &Expr, errors: &mut Errors) {
    let (shown, broken) = match NumberLiteral::read(value) {
        Some(number) => (format!("`{what} = {number}`"), broken_by_number(options, &number)),
        None => {
            let string = string_of(value);
            let broken = string.and_then(|string| broken_by_string(options, &string));
            (format!("the {what}"), broken)
        }
    };
    if let Some(Broken { constraint, write }) = broken {
        errors.at(value, format!("{shown} does not satisfy `{constraint}`"), write);
    }
}

/// A constraint that a value does not satisfy, as the user wrote the constraint, and what to write instead.
struct Broken {
    constraint: String,
    write: String,
}

fn broken_by_number(options: &Options, number: &NumberLiteral) -> Option<Broken> {
    let broken = |name: &str, wrong: &[Ordering], words: &str| {
        let (_, bound) = find(options, name)?;
        let order = number.compare(bound)?;
        wrong.contains(&order).then(|| Broken {
            constraint: format!("{name} = {bound}"),
            write: format!("use a number {words} {bound}"),
        })
    };
    broken("min", &[Ordering::Less], "of at least")
        .or_else(|| broken("max", &[Ordering::Greater], "of at most"))
        .or_else(|| broken("exclusive_min", &[Ordering::Less, Ordering::Equal], "above"))
        .or_else(|| broken("exclusive_max", &[Ordering::Greater, Ordering::Equal], "below"))
        .or_else(|| {
            let (_, step) = find(options, "multiple_of")?;
            (step.is_positive() && !number.is_multiple_of(step)).then(|| Broken {
                constraint: format!("multiple_of = {step}"),
                write: format!("use a multiple of {step}"),
            })
        })
}

fn broken_by_string(options: &Options, string: &str) -> Option<Broken> {
    let length = NumberLiteral::of_length(string)?;
    let outside = |name: &str, wrong, words: &str| {
        let (_, bound) = find(options, name)?;
        (length.compare(bound) == Some(wrong)).then(|| Broken {
            constraint: format!("{name} = {bound}"),
            write: format!("use {words} {bound} characters"),
        })
    };
    outside("min_length", Ordering::Less, "at least")
        .or_else(|| outside("max_length", Ordering::Greater, "at most"))
        .or_else(|| broken_by_shape(options, string))
}

fn broken_by_shape(options: &Options, string: &str) -> Option<Broken> {
    options.constraints.iter().find_map(|constraint| {
        let Value::Text(wanted) = &constraint.value else {
            return None;
        };
        let wanted = wanted.value();
        let (refused, write) = if constraint.name == "format" {
            (
                pattern::refuses(pattern::of_format(&wanted), string),
                "use a string in this format",
            )
        } else {
            (
                pattern::refuses(&wanted, string),
                "use a string that matches the pattern",
            )
        };
        refused.then(|| Broken {
            constraint: format!("{} = {wanted:?}", constraint.name),
            write: write.to_owned(),
        })
    })
}
