//! Literals that the macro can evaluate: the numbers and strings of bounds, defaults and examples.

use std::cmp::Ordering;
use std::fmt;

use proc_macro2::{Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Expr, ExprUnary, Lit, Path, UnOp};

use crate::options::{bare, literal};
use crate::span;

/// A number literal, with or without a minus sign.
#[derive(Clone)]
pub(crate) struct NumberLiteral {
    number: Number,
    /// The spans of the first and of the last token.
    pub(crate) place: (Span, Span),
}

#[derive(Clone, Copy)]
enum Number {
    Integer(i128),
    Float(f64),
}

impl NumberLiteral {
    pub(crate) fn read(value: &Expr) -> Option<Self> {
        let (negative, number) = match bare(value) {
            Expr::Paren(paren) => return Self::read(&paren.expr),
            Expr::Unary(ExprUnary {
                op: UnOp::Neg(_), expr, ..
            }) => (true, &**expr),
            other => (false, other),
        };
        let number = match literal(number)? {
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
            place: span::ends(value),
        })
    }

    /// The number of characters of a string. It has no span of its own.
    pub(crate) fn of_length(string: &str) -> Option<Self> {
        Some(Self {
            number: Number::Integer(i128::try_from(string.chars().count()).ok()?),
            place: (Span::call_site(), Span::call_site()),
        })
    }

    /// Whether this is a whole number of 0 or more.
    pub(crate) fn is_count(&self) -> bool {
        matches!(self.number, Number::Integer(count) if u64::try_from(count).is_ok())
    }

    /// Whether a JSON schema can hold this number exactly.
    pub(crate) fn is_in_json(&self) -> bool {
        match self.number {
            Number::Integer(integer) => (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&integer),
            Number::Float(float) => float.is_finite(),
        }
    }

    /// Whether this is written with a fraction or an exponent.
    pub(crate) fn is_float(&self) -> bool {
        matches!(self.number, Number::Float(_))
    }

    /// Tokens of the runtime's `Number`.
    pub(crate) fn as_number(&self) -> TokenStream {
        match self.number {
            Number::Integer(_) => quote!(__operator::Number::Integer(#self)),
            Number::Float(_) => quote!(__operator::Number::Float(#self)),
        }
    }

    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
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

    pub(crate) fn is_positive(&self) -> bool {
        self.real() > 0.0
    }

    pub(crate) fn is_multiple_of(&self, step: &Self) -> bool {
        match (self.number, step.number) {
            (Number::Integer(number), Number::Integer(step)) => step != 0 && number % step == 0,
            _ => {
                let quotient = self.real() / step.real();
                // A tolerance is needed, because 0.3 / 0.1 is not exactly 3.
                (quotient - quotient.round()).abs() < 1e-9
            }
        }
    }
}

impl ToTokens for NumberLiteral {
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

impl fmt::Display for NumberLiteral {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Number::Integer(integer) => integer.fmt(formatter),
            // `Debug` keeps the fraction: `1.0`, where `Display` writes `1`.
            Number::Float(float) => fmt::Debug::fmt(&float, formatter),
        }
    }
}

/// The value of a string literal, even inside a conversion to `String`: `"open".to_owned()` or `String::from("open")`.
/// The macro cannot evaluate other function calls.
pub(crate) fn string_of(value: &Expr) -> Option<String> {
    if let Some(Lit::Str(string)) = literal(value) {
        return Some(string.value());
    }
    match bare(value) {
        Expr::MethodCall(call) if call.args.is_empty() && keeps_string(&call.method) => string_of(&call.receiver),
        Expr::Call(call) if call.args.len() == 1 => match &*call.func {
            Expr::Path(path) if is_from_of_string(&path.path) => string_of(call.args.first()?),
            _ => None,
        },
        _ => None,
    }
}

fn keeps_string(method: &Ident) -> bool {
    method == "to_owned" || method == "to_string"
}

fn is_from_of_string(path: &Path) -> bool {
    let mut segments = path.segments.iter().rev();
    let (from, ty) = (segments.next(), segments.next());
    from.is_some_and(|from| from.ident == "from") && ty.is_some_and(|ty| ty.ident == "String")
}
