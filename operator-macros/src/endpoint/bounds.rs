//! Bounds held against each other, and defaults and examples against them, as far as literals go.

use std::cmp::Ordering;
use std::fmt;

use proc_macro2::{Literal, Punct, Spacing, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Expr, ExprLit, ExprUnary, Lit, UnOp};

use super::attribute;
use super::constraint::{Options, Value};
use super::pattern;
use crate::error::Errors;

/// A literal number.
#[derive(Clone)]
pub(crate) struct Bound {
    number: Number,
    /// From the first token to the last.
    pub(crate) place: (Span, Span),
}

#[derive(Clone, Copy)]
enum Number {
    Integer(i128),
    Float(f64),
}

impl Bound {
    pub(crate) fn read(value: &Expr) -> Option<Self> {
        let (negative, literal) = match value {
            Expr::Group(group) => return Self::read(&group.expr),
            Expr::Paren(paren) => return Self::read(&paren.expr),
            Expr::Unary(ExprUnary {
                op: UnOp::Neg(_), expr, ..
            }) => (true, &**expr),
            other => (false, other),
        };
        let Expr::Lit(ExprLit { lit, .. }) = literal else {
            return None;
        };
        let number = match lit {
            Lit::Int(integer) => {
                let size: i128 = integer.base10_parse().ok()?;
                Number::Integer(if negative { -size } else { size })
            }
            Lit::Float(float) => {
                let size: f64 = float.base10_parse().ok()?;
                Number::Float(if negative { -size } else { size })
            }
            _ => return None,
        };
        Some(Self {
            number,
            place: crate::span::ends(value),
        })
    }

    /// Whether it can count something.
    pub(crate) fn is_count(&self) -> bool {
        matches!(self.number, Number::Integer(count) if u64::try_from(count).is_ok())
    }

    /// Whether it stands in JSON as it is.
    pub(crate) fn is_in_json(&self) -> bool {
        match self.number {
            Number::Integer(integer) => (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&integer),
            Number::Float(float) => float.is_finite(),
        }
    }

    /// As the runtime's `Number`.
    pub(crate) fn as_number(&self) -> TokenStream {
        match self.number {
            Number::Integer(_) => quote!(__operator::Number::Integer(#self)),
            Number::Float(_) => quote!(__operator::Number::Float(#self)),
        }
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self.number, other.number) {
            (Number::Integer(left), Number::Integer(right)) => Some(left.cmp(&right)),
            _ => self.real().partial_cmp(&other.real()),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "only compared with a float")]
    fn real(&self) -> f64 {
        match self.number {
            Number::Integer(integer) => integer as f64,
            Number::Float(float) => float,
        }
    }

    fn is_positive(&self) -> bool {
        self.real() > 0.0
    }

    fn is_multiple_of(&self, step: &Self) -> bool {
        match (self.number, step.number) {
            (Number::Integer(number), Number::Integer(step)) => step != 0 && number % step == 0,
            _ => {
                let quotient = self.real() / step.real();
                // 0.3 divided by 0.1 is not quite 3.
                (quotient - quotient.round()).abs() < 1e-9
            }
        }
    }
}

impl ToTokens for Bound {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let mut literal = match self.number {
            Number::Integer(integer) => Literal::i128_unsuffixed(integer.abs()),
            Number::Float(float) => Literal::f64_unsuffixed(float.abs()),
        };
        literal.set_span(self.place.1);
        if self.real() < 0.0 {
            let mut minus = Punct::new('-', Spacing::Alone);
            minus.set_span(self.place.0);
            tokens.extend([TokenTree::Punct(minus)]);
        }
        tokens.extend([TokenTree::Literal(literal)]);
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Number::Integer(integer) => integer.fmt(formatter),
            Number::Float(float) => float.fmt(formatter),
        }
    }
}

/// Which end a bound is of, and whether it is allowed itself.
const LOWER: [(&str, bool); 2] = [("min", true), ("exclusive_min", false)];
const UPPER: [(&str, bool); 2] = [("max", true), ("exclusive_max", false)];

/// Bounds that leave nothing, and a default or an example outside of them.
pub(crate) fn check(options: &Options, errors: &mut Errors) {
    for (first, second) in [("min", "exclusive_min"), ("max", "exclusive_max")] {
        if let (Some(_), Some((name, _))) = (find(options, first), find(options, second)) {
            errors.at(name, format!("`{first}` and `{second}` bound the same end"), "keep one");
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
        let place = literal(options, "multiple_of");
        errors.at(
            &place,
            format!("no number is a multiple of {step}"),
            "write a number above 0",
        );
    }
    let default = options.default.iter().flatten().map(|value| ("default", value));
    for (what, value) in default.chain(options.example.iter().map(|value| ("example", value))) {
        check_value(options, what, value, errors);
    }
}

fn find<'o>(options: &'o Options, name: &str) -> Option<(&'o proc_macro2::Ident, &'o Bound)> {
    let constraint = options.constraints.iter().find(|constraint| constraint.name == name)?;
    match &constraint.value {
        Value::Number(bound) | Value::Count(bound) => Some((&constraint.name, bound)),
        Value::Text(_) | Value::Nothing => None,
    }
}

/// The bound's literal, to point at.
fn literal(options: &Options, name: &str) -> TokenStream {
    find(options, name).map_or_else(TokenStream::new, |(_, bound)| bound.to_token_stream())
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
        errors.at(
            &literal(options, most),
            format!("nothing is left between `{least} = {low}` and `{most} = {high}`"),
            format!("write a `{most}` above {low}"),
        );
    }
}

/// A default or an example that every call which sends it would be refused for.
fn check_value(options: &Options, what: &str, value: &Expr, errors: &mut Errors) {
    if let Some(number) = Bound::read(value) {
        if let Some(expected) = broken_by_number(options, &number) {
            let wrong = format!("the {what} {number} is refused by its own bounds");
            errors.at(value, wrong, format!("write a number {expected}"));
        }
    } else if let Some(expected) = text_of(value).and_then(|text| broken_by_text(options, &text)) {
        let wrong = format!("the {what} is refused by its own bounds");
        errors.at(value, wrong, format!("write a text {expected}"));
    }
}

fn broken_by_number(options: &Options, number: &Bound) -> Option<String> {
    let bound = |name| find(options, name).map(|(_, bound)| bound);
    let outside = |bound: &Bound, wrong: &[Ordering]| number.compare(bound).is_some_and(|order| wrong.contains(&order));
    let broken = |name, wrong: &[Ordering], words: &str| {
        bound(name)
            .filter(|bound| outside(bound, wrong))
            .map(|bound| format!("{words} {bound}"))
    };
    broken("min", &[Ordering::Less], "of at least")
        .or_else(|| broken("max", &[Ordering::Greater], "of at most"))
        .or_else(|| broken("exclusive_min", &[Ordering::Less, Ordering::Equal], "above"))
        .or_else(|| broken("exclusive_max", &[Ordering::Greater, Ordering::Equal], "below"))
        .or_else(|| {
            let step = bound("multiple_of").filter(|step| step.is_positive() && !number.is_multiple_of(step));
            step.map(|step| format!("that is a multiple of {step}"))
        })
}

fn broken_by_text(options: &Options, text: &str) -> Option<String> {
    let length = Bound {
        number: Number::Integer(i128::try_from(text.chars().count()).ok()?),
        place: (Span::call_site(), Span::call_site()),
    };
    let outside = |name, wrong, words: &str| {
        find(options, name)
            .filter(|(_, bound)| length.compare(bound) == Some(wrong))
            .map(|(_, bound)| format!("of {words} {bound} characters"))
    };
    outside("min_length", Ordering::Less, "at least")
        .or_else(|| outside("max_length", Ordering::Greater, "at most"))
        .or_else(|| broken_by_shape(options, text))
}

fn broken_by_shape(options: &Options, text: &str) -> Option<String> {
    options.constraints.iter().find_map(|constraint| {
        let Value::Text(asked) = &constraint.value else {
            return None;
        };
        let asked = asked.value();
        if constraint.name == "format" {
            pattern::refuses(pattern::of_format(&asked), text).then(|| format!("of the format `{asked}`"))
        } else {
            pattern::refuses(&asked, text).then(|| format!("that the pattern `{asked}` takes"))
        }
    })
}

/// A literal text, also one made a `String`: `"open".to_owned()`, `String::from("open")`. What other functions make of one
/// nobody knows here.
pub(crate) fn text_of(value: &Expr) -> Option<String> {
    if let Some(Lit::Str(text)) = attribute::literal(value) {
        return Some(text.value());
    }
    match value {
        Expr::Group(group) => text_of(&group.expr),
        Expr::MethodCall(call) if call.args.is_empty() && keeps_text(&call.method) => text_of(&call.receiver),
        Expr::Call(call) if call.args.len() == 1 => match &*call.func {
            Expr::Path(path) if is_from_of_string(&path.path) => text_of(call.args.first()?),
            _ => None,
        },
        _ => None,
    }
}

fn keeps_text(method: &proc_macro2::Ident) -> bool {
    method == "to_owned" || method == "to_string"
}

fn is_from_of_string(path: &syn::Path) -> bool {
    let mut segments = path.segments.iter().rev();
    let (from, ty) = (segments.next(), segments.next());
    from.is_some_and(|from| from.ident == "from") && ty.is_some_and(|ty| ty.ident == "String")
}
