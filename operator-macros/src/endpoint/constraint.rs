//! Parses `#[operator(…)]` on an argument. Each option may occur once, with a value of the right kind.

use proc_macro2::{Ident, TokenStream};
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, LitStr, Token};

use super::literal::NumberLiteral;
use super::pattern;
use crate::error::Errors;
use crate::options::{Part, once, read, refuse_missing_value, refuse_value, string, string_once};

/// The options of one argument.
#[derive(Default)]
pub(crate) struct Options {
    /// `Some(None)` means that the option is written `default`, without a value.
    pub(crate) default: Option<Option<Expr>>,
    pub(crate) example: Option<Expr>,
    pub(crate) rename: Option<LitStr>,
    pub(crate) flatten: Option<Ident>,
    pub(crate) extract: Option<Ident>,
    pub(crate) lenient: Option<Ident>,
    pub(crate) secret: Option<Ident>,
    /// The names of the lints that are allowed for this input.
    pub(crate) allow: Vec<Ident>,
    pub(crate) constraints: Vec<Constraint>,
    /// Whether every option could be parsed. If not, options may be missing here.
    pub(crate) are_read: bool,
    /// The name of every option that was written. Messages point at these names.
    names: Vec<Ident>,
}

/// One bound in addition to the type.
pub(crate) struct Constraint {
    /// The name of the option.
    pub(crate) name: Ident,
    /// The variant of the runtime's `Constraint`.
    pub(crate) variant: &'static str,
    pub(crate) value: Value,
}

/// The value of a constraint.
pub(crate) enum Value {
    Number(NumberLiteral),
    Count(NumberLiteral),
    Text(LitStr),
    Nothing,
}

/// The kind of values that a constraint bounds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bounded {
    Numbers,
    Texts,
    Lists,
}

impl Constraint {
    pub(crate) fn bounds(&self) -> Bounded {
        match (&self.value, self.variant) {
            (Value::Number(_), _) => Bounded::Numbers,
            (_, "MinItems" | "MaxItems" | "UniqueItems") => Bounded::Lists,
            _ => Bounded::Texts,
        }
    }
}

pub(crate) const OPTIONS: [&str; 20] = [
    "allow",
    "default",
    "min",
    "max",
    "exclusive_min",
    "exclusive_max",
    "multiple_of",
    "min_length",
    "max_length",
    "pattern",
    "format",
    "min_items",
    "max_items",
    "unique_items",
    "example",
    "rename",
    "flatten",
    "extract",
    "lenient",
    "secret",
];
/// The lints that check an endpoint. `tests/house.rs` compares this list with the runtime's.
const LINTS: [&str; 11] = [
    "short_description",
    "repeated_name",
    "no_occasion",
    "undescribed_input",
    "undescribed_output",
    "raw_code",
    "time_without_zone",
    "similar_names",
    "unlimited_amount",
    "resource_name",
    "unfit_for_reader",
];
const FORMATS: [&str; 5] = ["email", "uri", "uuid", "date", "date-time"];

/// The lints in `#[operator(allow(…))]` on a function. A function can have only this option and `limit`, which is parsed
/// in the file of that name.
pub(crate) fn allowed(attributes: &[Attribute], errors: &mut Errors) -> Vec<String> {
    let mut own = Errors::default();
    let options = parse_of(Place::Function, attributes, &mut own);
    let others: Vec<&Ident> = options.names.iter().filter(|name| *name != "allow").collect();
    for name in &others {
        let write = format!("remove `{name}`, or move it to an argument");
        errors.at(
            name,
            "a function takes only the options `allow(…)` and `limit(…)`",
            write,
        );
    }
    // An option in the wrong place is reported once, so errors about its value are dropped.
    if others.is_empty() {
        errors.absorb(own);
    }
    options.allowed()
}

/// Where options are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Argument,
    Function,
}

/// Parses the options in every `#[operator(…)]` of an argument.
pub(crate) fn parse(attributes: &[Attribute], errors: &mut Errors) -> Options {
    parse_of(Place::Argument, attributes, errors)
}

fn parse_of(place: Place, attributes: &[Attribute], errors: &mut Errors) -> Options {
    let before = errors.count();
    let mut options = Options::default();
    read(attributes, "min = 1", errors, |name, part, errors| {
        match (place, part) {
            (Place::Function, Part::List(..)) if name == "limit" => {}
            (Place::Argument, _) if name == "limit" => {
                let wrong = "`limit` is an option of the endpoint, not of an argument";
                errors.at(name, wrong, "move it above the function");
            }
            _ if name == "limit" => {
                let write = "write it in parentheses, like `limit(calls = 20, within = \"1h\")`";
                errors.at(name, "`limit` does not say what it counts", write);
            }
            _ => options.take(name, part, errors),
        }
    });
    options.are_read = errors.count() == before;
    options
}

/// Parses the value of the option with this name.
type ReadValue = fn(&Ident, &Expr, &mut Errors) -> Option<Value>;

impl Options {
    fn take(&mut self, name: &Ident, part: &Part, errors: &mut Errors) {
        self.names.push(name.clone());
        let what = format!("`{name}`");
        match (name.to_string().as_str(), part) {
            ("default", Part::Word(_)) => once(&mut self.default, name, Some(None), &what, errors),
            ("default", Part::Value(_, value)) => {
                once(&mut self.default, name, Some(Some(value.clone())), &what, errors);
            }
            ("example", Part::Value(_, value)) => once(&mut self.example, name, Some(value.clone()), &what, errors),
            ("rename", Part::Value(_, value)) => {
                string_once(&mut self.rename, name, value, "type", errors);
            }
            ("allow", Part::List(_, lints)) if !lints.is_empty() => self.allow_lints(lints, errors),
            ("allow", _) => errors.at(
                name,
                "`allow` needs the names of lints",
                "write them in parentheses, like `allow(short_description)`",
            ),
            ("flatten", Part::Word(word)) => once(&mut self.flatten, name, Some(word.clone()), &what, errors),
            ("extract", Part::Word(word)) => once(&mut self.extract, name, Some(word.clone()), &what, errors),
            ("lenient", Part::Word(word)) => once(&mut self.lenient, name, Some(word.clone()), &what, errors),
            ("secret", Part::Word(word)) => once(&mut self.secret, name, Some(word.clone()), &what, errors),
            ("unique_items", Part::Word(_)) => self.push(name, "UniqueItems", Value::Nothing, errors),
            ("flatten" | "extract" | "lenient" | "secret" | "unique_items", _) => refuse_value(name, errors),
            (known, Part::Value(_, value)) if OPTIONS.contains(&known) => self.constrain(name, value, errors),
            (known, _) if OPTIONS.contains(&known) => refuse_missing_value(name, errors),
            (unknown, _) => errors.unknown(name, "option", unknown, &OPTIONS),
        }
    }

    fn allow_lints(&mut self, lints: &TokenStream, errors: &mut Errors) {
        let Ok(named) = Punctuated::<Ident, Token![,]>::parse_terminated.parse2(lints.clone()) else {
            return errors.at(
                &lints,
                "`allow` takes only names of lints",
                "write them like `allow(short_description, raw_code)`",
            );
        };
        for lint in named {
            let name = lint.to_string();
            if !LINTS.contains(&name.as_str()) {
                errors.unknown(&lint, "lint", &name, &LINTS);
            }
            self.allow.push(lint);
        }
    }

    /// Parses a known option that sets a constraint.
    fn constrain(&mut self, name: &Ident, value: &Expr, errors: &mut Errors) {
        let (variant, read): (_, ReadValue) = match name.to_string().as_str() {
            "min" => ("Min", number),
            "max" => ("Max", number),
            "exclusive_min" => ("ExclusiveMin", number),
            "exclusive_max" => ("ExclusiveMax", number),
            "multiple_of" => ("MultipleOf", number),
            "min_length" => ("MinLength", count),
            "max_length" => ("MaxLength", count),
            "min_items" => ("MinItems", count),
            "max_items" => ("MaxItems", count),
            "pattern" => ("Pattern", pattern),
            _ => ("Format", format),
        };
        if let Some(value) = read(name, value, errors) {
            self.push(name, variant, value, errors);
        }
    }

    fn push(&mut self, name: &Ident, variant: &'static str, value: Value, errors: &mut Errors) {
        if self.constraints.iter().any(|earlier| earlier.name == *name) {
            errors.at(name, format!("`{name}` is given twice"), "remove one");
        } else {
            let name = name.clone();
            self.constraints.push(Constraint { name, variant, value });
        }
    }

    /// The names of the allowed lints.
    pub(crate) fn allowed(&self) -> Vec<String> {
        self.allow.iter().map(ToString::to_string).collect()
    }

    /// Reports and removes the options that do not apply to a flattened argument.
    pub(crate) fn of_flattened(self, errors: &mut Errors) -> Self {
        let what = "a flattened argument, whose fields are the inputs";
        self.refuse_all_but(&["allow", "flatten"], what, errors);
        Self {
            flatten: self.flatten,
            allow: self.allow,
            ..Self::default()
        }
    }

    /// Reports the options that do not apply to `what`.
    pub(crate) fn refuse_all_but(&self, allowed: &[&str], what: &str, errors: &mut Errors) {
        for name in &self.names {
            let word = name.to_string();
            if OPTIONS.contains(&word.as_str()) && !allowed.contains(&word.as_str()) {
                errors.at(name, format!("`{word}` does not apply to {what}"), "remove it");
            }
        }
    }
}

fn number(name: &Ident, value: &Expr, errors: &mut Errors) -> Option<Value> {
    let Some(bound) = NumberLiteral::read(value) else {
        let wrong = format!("`{name}` must be a number literal");
        errors.at(value, wrong, format!("write one like `{name} = 1`"));
        return None;
    };
    if !bound.is_in_json() {
        let wrong = format!("`{name} = {bound}` is out of range for a JSON schema");
        errors.at(value, wrong, format!("use {} to {}", i64::MIN, u64::MAX));
        return None;
    }
    Some(Value::Number(bound))
}

fn count(name: &Ident, value: &Expr, errors: &mut Errors) -> Option<Value> {
    let bound = NumberLiteral::read(value).filter(NumberLiteral::is_count);
    if bound.is_none() {
        let wrong = format!("`{name}` must be a whole number of 0 or more");
        errors.at(value, wrong, format!("write one like `{name} = 1`"));
    }
    bound.map(Value::Count)
}

fn pattern(_name: &Ident, value: &Expr, errors: &mut Errors) -> Option<Value> {
    let text = string(value, "`pattern`", "pattern = \"^[a-z]+$\"", errors)?;
    if let Some((wrong, write)) = pattern::mistake(&text.value()) {
        errors.at(&text, wrong, write);
    }
    Some(Value::Text(text))
}

fn format(_name: &Ident, value: &Expr, errors: &mut Errors) -> Option<Value> {
    let text = string(value, "`format`", "format = \"email\"", errors)?;
    let name = text.value();
    if !FORMATS.contains(&name.as_str()) {
        errors.unknown(&text, "format", &name, &FORMATS);
    }
    Some(Value::Text(text))
}
