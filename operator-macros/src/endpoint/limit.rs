//! Parses and checks `#[operator(limit(…))]` on a function: how often, or for how much, an endpoint may act within a
//! window of time.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::{Attribute, Expr, LitStr};

use super::attribute;
use super::key;
use super::literal::NumberLiteral;
use super::model::Method;
use super::signature::{Argument, Kind};
use crate::error::Errors;
use crate::options::{self, Part, once, parts, refuse_missing_value, string_once};

/// A limit without mistakes.
pub(crate) struct Limit {
    /// The input whose values are summed: its wire name, and the identifier in `sum = …` for the positions of errors.
    /// `None` if calls are counted.
    pub(crate) sum: Option<(String, Ident)>,
    pub(crate) max: u64,
    /// The wire names of the inputs in `per`: the limit is counted separately for each combination of their values.
    pub(crate) per: Vec<String>,
    pub(crate) window_ms: u64,
}

/// The largest number that JSON readers and every store hold exactly. Two such numbers can be added without overflow.
const MOST: u64 = (1 << 53) - 1;
pub(crate) const OPTIONS: [&str; 5] = ["calls", "sum", "max", "per", "within"];
/// The shortest and the longest window, in milliseconds.
const SHORTEST: u64 = 1_000;
const LONGEST: u64 = 31 * 24 * 60 * 60 * 1_000;

/// The options of one `limit(…)`, as written.
#[derive(Default)]
struct Written {
    calls: Option<(Ident, Expr)>,
    sum: Option<Ident>,
    max: Option<(Ident, Expr)>,
    per: Option<Vec<Ident>>,
    within: Option<LitStr>,
}

/// The limits of a function.
pub(crate) fn check(
    attributes: &[Attribute],
    arguments: &[Argument],
    method: Option<Method>,
    read_only: bool,
    errors: &mut Errors,
) -> Vec<Limit> {
    let mut limits: Vec<Limit> = Vec::new();
    for (name, inside) in written(attributes) {
        if method == Some(Method::Get) || read_only {
            let wrong =
                "`limit` does not apply to an endpoint that changes nothing, because its calls are not recorded";
            errors.at(&name, wrong, "remove it; `Config::rate` bounds how often callers read");
            continue;
        }
        let before = errors.count();
        let Some(limit) = limit(&name, inside, arguments, errors).filter(|_| errors.count() == before) else {
            continue;
        };
        if limits.iter().any(|other| other.counts_the_same(&limit)) {
            let wrong = "two limits count the same within the same time";
            errors.at(
                &name,
                wrong,
                "keep the smaller one, or give one of them another `within`",
            );
        }
        limits.push(limit);
    }
    limits
}

/// The tokens in the parentheses of each `limit(…)`. Other mistakes in these attributes are reported where `allow` is
/// parsed.
fn written(attributes: &[Attribute]) -> Vec<(Ident, TokenStream)> {
    let mut found = Vec::new();
    let mut reported_elsewhere = Errors::default();
    options::read(attributes, "", &mut reported_elsewhere, |name, part, _| {
        if let (true, Part::List(_, inside)) = (name == "limit", part) {
            found.push((name.clone(), inside.clone()));
        }
    });
    drop(reported_elsewhere);
    found
}

impl Limit {
    fn counts_the_same(&self, other: &Self) -> bool {
        let sum = |limit: &Self| limit.sum.as_ref().map(|(name, _)| name.clone());
        let per = |limit: &Self| {
            let mut per = limit.per.clone();
            per.sort_unstable();
            per
        };
        sum(self) == sum(other) && self.window_ms == other.window_ms && per(self) == per(other)
    }
}

fn limit(name: &Ident, inside: TokenStream, arguments: &[Argument], errors: &mut Errors) -> Option<Limit> {
    let mut written = Written::default();
    for part in parts(inside, errors) {
        written.take(&part, errors);
    }
    let (counted, max) = written.counted(name, errors)?;
    let max = max.as_ref().and_then(|(name, value)| most(name, value, errors));
    let Some(within) = &written.within else {
        errors.at(
            name,
            "the limit has no window",
            "write for how long a call counts, like `within = \"24h\"`",
        );
        return None;
    };
    let window_ms = window(within, errors);
    let sum = match counted {
        None => None,
        Some(input) => {
            let wire_name = key::input("sum", &input, arguments, errors)?;
            refuse_a_secret(&input, arguments, errors);
            Some((wire_name, input))
        }
    };
    let per = per_inputs(written.per.unwrap_or_default(), arguments, errors);
    Some(Limit {
        sum,
        max: max?,
        per,
        window_ms: window_ms?,
    })
}

/// Refuses the sum of a secret input, which the sentence of a refusal and the log would tell.
fn refuse_a_secret(input: &Ident, arguments: &[Argument], errors: &mut Errors) {
    let argument = arguments.iter().find(|argument| argument.name == *input);
    if argument
        .is_some_and(|argument| matches!(&argument.kind, Kind::Input { options, .. } if options.secret.is_some()))
    {
        let wrong = format!(
            "`{}` is secret, but the answer to a call over a limit says how much is used",
            input.unraw()
        );
        errors.at(input, wrong, "count the calls, or remove `secret`");
    }
}

impl Written {
    fn take(&mut self, part: &Part, errors: &mut Errors) {
        match part {
            Part::Value(name, value) if name == "calls" => {
                let calls = Some((name.clone(), value.clone()));
                once(&mut self.calls, name, calls, "`calls`", errors);
            }
            Part::Value(name, value) if name == "max" => {
                once(
                    &mut self.max,
                    name,
                    Some((name.clone(), value.clone())),
                    "`max`",
                    errors,
                );
            }
            Part::Value(name, value) if name == "sum" => {
                let input = attribute::word(value);
                if input.is_none() {
                    errors.at(
                        value,
                        "`sum` must be the name of an input",
                        "write `sum = amount_cents`",
                    );
                }
                once(&mut self.sum, name, input, "`sum`", errors);
            }
            Part::Value(name, value) if name == "per" => {
                let inputs = attribute::word(value).map(|input| vec![input]);
                if inputs.is_none() {
                    let write = "write `per = order_id`, or `per(order_id, reason)` for several";
                    errors.at(value, "`per` must be the name of an input", write);
                }
                once(&mut self.per, name, inputs, "`per`", errors);
            }
            Part::List(name, inputs) if name == "per" => {
                once(&mut self.per, name, names(name, inputs, errors), "`per`", errors);
            }
            Part::Value(name, value) if name == "within" => string_once(&mut self.within, name, value, "24h", errors),
            Part::Word(name) | Part::Value(name, _) | Part::List(name, _) => {
                let word = name.to_string();
                if OPTIONS.contains(&word.as_str()) {
                    refuse_missing_value(name, errors);
                } else {
                    errors.unknown(name, "option of `limit`", &word, &OPTIONS);
                }
            }
            Part::Other(other) => {
                errors.at(other, "this is not an option of `limit`", "write one like `calls = 20`");
            }
        }
    }

    /// The input that is summed, or `None` if calls are counted, and the maximum.
    #[allow(clippy::type_complexity, reason = "the maximum is a name and its value, as written")]
    fn counted(&self, limit: &Ident, errors: &mut Errors) -> Option<(Option<Ident>, Option<(Ident, Expr)>)> {
        match (&self.calls, &self.sum) {
            (Some((calls, _)), Some(_)) => {
                errors.at(calls, "a limit counts the calls or a sum", "write two limits");
                None
            }
            (Some(calls), None) => {
                if let Some((max, _)) = &self.max {
                    errors.at(
                        max,
                        "`max` is for a sum, and `calls` has the maximum already",
                        "remove `max`",
                    );
                }
                Some((None, Some(calls.clone())))
            }
            (None, Some(sum)) => {
                if self.max.is_none() {
                    errors.at(sum, "the limit of a sum needs its maximum", "add `max = …`");
                }
                Some((Some(sum.clone()), self.max.clone()))
            }
            (None, None) => {
                let write = "write `limit(calls = 20, within = \"1h\")`, or `limit(sum = amount_cents, max = 10_000, within = \"24h\")`";
                errors.at(limit, "the limit does not say what it counts", write);
                None
            }
        }
    }
}

fn names(name: &Ident, inputs: &TokenStream, errors: &mut Errors) -> Option<Vec<Ident>> {
    let names = attribute::words(inputs).filter(|names| !names.is_empty());
    if names.is_none() {
        let wrong = "`per` takes names of inputs, separated by commas";
        errors.at(name, wrong, "write `per(order_id, reason)`");
    }
    names
}

/// The wire names of the inputs in `per`.
fn per_inputs(names: Vec<Ident>, arguments: &[Argument], errors: &mut Errors) -> Vec<String> {
    let mut per = Vec::new();
    for name in names {
        let Some(wire_name) = key::input("per", &name, arguments, errors) else {
            continue;
        };
        if per.contains(&wire_name) {
            errors.at(&name, format!("`per` names `{}` twice", name.unraw()), "remove one");
        }
        per.push(wire_name);
    }
    per
}

fn most(name: &Ident, value: &Expr, errors: &mut Errors) -> Option<u64> {
    let number = NumberLiteral::read(value).and_then(|number| number.to_token_stream().to_string().parse::<u64>().ok());
    let most = number.filter(|most| (1..=MOST).contains(most));
    if most.is_none() {
        let wrong = match number {
            Some(0) => format!("`{name} = 0` allows no call at all"),
            Some(large) => format!("`{name} = {large}` is too large to be counted exactly"),
            None => format!("`{name}` must be a whole number"),
        };
        errors.at(value, wrong, format!("use 1 to {MOST}"));
    }
    most
}

/// The window in milliseconds.
fn window(literal: &LitStr, errors: &mut Errors) -> Option<u64> {
    let text = literal.value();
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let factor = match &text[digits.len()..] {
        "s" => Some(1_000),
        "m" => Some(60 * 1_000),
        "h" => Some(60 * 60 * 1_000),
        "d" => Some(24 * 60 * 60 * 1_000),
        _ => None,
    };
    let milliseconds = factor.and_then(|factor: u64| digits.parse::<u64>().ok()?.checked_mul(factor));
    let allowed = milliseconds.filter(|milliseconds| (SHORTEST..=LONGEST).contains(milliseconds));
    if allowed.is_none() {
        errors.at(
            literal,
            format!("`{text}` is not a window of a limit"),
            "write a time from 1 s to 31 days, like `\"90s\"`, `\"30m\"`, `\"24h\"` or `\"31d\"`",
        );
    }
    allowed
}
