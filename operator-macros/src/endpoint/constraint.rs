//! `#[operator(…)]` on arguments: options as written, each once, each with a value of its kind.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, LitStr, Meta, Token};

use super::attribute::{Part, once, parts, text};
use super::bounds::{self, Bound};
use super::pattern;
use crate::error::{Errors, did_you_mean};

/// The options of one argument.
#[derive(Default)]
pub(crate) struct Options {
    /// `Some(None)` is `default` alone.
    pub(crate) default: Option<Option<Expr>>,
    pub(crate) example: Option<Expr>,
    pub(crate) rename: Option<LitStr>,
    pub(crate) flatten: Option<Ident>,
    pub(crate) extract: Option<Ident>,
    /// Lints that the author has seen and means.
    pub(crate) allow: Vec<Ident>,
    pub(crate) constraints: Vec<Constraint>,
    /// Whether every option could be read, so that none is missing from these.
    pub(crate) are_read: bool,
    /// Every option as it is named, to point at.
    names: Vec<Ident>,
}

/// One promise beyond the type.
pub(crate) struct Constraint {
    /// The option.
    pub(crate) name: Ident,
    /// The runtime's variant.
    pub(crate) variant: &'static str,
    pub(crate) value: Value,
}

/// What a constraint is given.
pub(crate) enum Value {
    Number(Bound),
    Count(Bound),
    Text(LitStr),
    Nothing,
}

/// What a constraint bounds.
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

const OPTIONS: [&str; 18] = [
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
];
/// What `lint` can find in an endpoint; `tests/house.rs` holds them against the runtime's.
const LINTS: [&str; 9] = [
    "short_description",
    "repeated_name",
    "no_occasion",
    "undescribed_input",
    "undescribed_output",
    "raw_code",
    "time_without_zone",
    "similar_names",
    "resource_name",
];
const FORMATS: [&str; 5] = ["email", "uri", "uuid", "date", "date-time"];

/// The lints of every `#[operator(allow(…))]` on a function, which takes no other option.
pub(crate) fn allowed(attributes: &[Attribute], errors: &mut Errors) -> Vec<String> {
    let mut own = Errors::default();
    let options = parse(attributes, &mut own);
    let others: Vec<&Ident> = options.names.iter().filter(|name| *name != "allow").collect();
    for name in &others {
        let write = format!("remove `{name}`, or write it at the argument that it is for");
        errors.at(name, "a function takes `allow(…)` only", write);
    }
    // What is wrong with an option that has no place here does not matter.
    if others.is_empty() {
        errors.absorb(own);
    }
    options.allowed()
}

/// Every `#[operator(…)]` of an argument, taken together.
pub(crate) fn parse(attributes: &[Attribute], errors: &mut Errors) -> Options {
    let before = errors.count();
    let mut options = Options::default();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("operator"))
    {
        match &attribute.meta {
            Meta::List(list) if !list.tokens.is_empty() => {
                for part in parts(list.tokens.clone(), errors) {
                    options.take(part, errors);
                }
            }
            other => errors.at(
                other,
                "`operator` lacks its options",
                "write them, as `#[operator(min = 1)]`, or remove it",
            ),
        }
    }
    options.are_read = errors.count() == before;
    bounds::check(&options, errors);
    options
}

/// How a value is read, for the option of that name.
type Read = fn(&Ident, &Expr, &mut Errors) -> Option<Value>;

impl Options {
    fn take(&mut self, part: Part, errors: &mut Errors) {
        let (Part::Word(name) | Part::Value(name, _) | Part::List(name, _)) = &part else {
            return errors.at(&part, "this is no option", "write `name = value`, as `min = 1`");
        };
        let name = name.clone();
        self.names.push(name.clone());
        match (name.to_string().as_str(), part) {
            ("default", Part::Word(_)) => once(&mut self.default, &name, Some(None), "`default`", errors),
            ("default", Part::Value(_, value)) => {
                once(&mut self.default, &name, Some(Some(value)), "`default`", errors);
            }
            ("example", Part::Value(_, value)) => once(&mut self.example, &name, Some(value), "`example`", errors),
            ("rename", Part::Value(_, value)) => {
                let value = text(&value, "`rename`", errors);
                once(&mut self.rename, &name, value, "`rename`", errors);
            }
            ("allow", Part::List(_, lints)) if !lints.is_empty() => self.allow_lints(&lints, errors),
            ("allow", _) => errors.at(
                &name,
                "`allow` lacks its lints",
                "write `allow(short_description)`, as `lint` names them",
            ),
            ("flatten", Part::Word(word)) => once(&mut self.flatten, &name, Some(word), "`flatten`", errors),
            ("extract", Part::Word(word)) => once(&mut self.extract, &name, Some(word), "`extract`", errors),
            ("unique_items", Part::Word(_)) => self.push(name, "UniqueItems", Value::Nothing, errors),
            ("flatten" | "extract" | "unique_items", _) => errors.at(
                &name,
                format!("`{name}` takes no value"),
                format!("write `{name}` alone"),
            ),
            (known, Part::Value(_, value)) if OPTIONS.contains(&known) => self.constrain(name, &value, errors),
            (known, _) if OPTIONS.contains(&known) => errors.at(
                &name,
                format!("`{name}` lacks its value"),
                format!("write `{name} = …`"),
            ),
            (unknown, _) => errors.at(
                &name,
                format!("`{unknown}` is no option of an argument"),
                did_you_mean(unknown, &OPTIONS),
            ),
        }
    }

    fn allow_lints(&mut self, lints: &TokenStream, errors: &mut Errors) {
        let Ok(named) = Punctuated::<Ident, Token![,]>::parse_terminated.parse2(lints.clone()) else {
            return errors.at(
                &lints,
                "a lint is a word",
                "write them as `allow(short_description, raw_code)`",
            );
        };
        for lint in named {
            let name = lint.to_string();
            if !LINTS.contains(&name.as_str()) {
                errors.at(&lint, format!("`{name}` is no lint"), did_you_mean(&name, &LINTS));
            }
            self.allow.push(lint);
        }
    }

    /// An option that is known, and none of those above.
    fn constrain(&mut self, name: Ident, value: &Expr, errors: &mut Errors) {
        let (variant, read): (_, Read) = match name.to_string().as_str() {
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
        if let Some(value) = read(&name, value, errors) {
            self.push(name, variant, value, errors);
        }
    }

    fn push(&mut self, name: Ident, variant: &'static str, value: Value, errors: &mut Errors) {
        if self.constraints.iter().any(|earlier| earlier.name == name) {
            errors.at(&name, format!("`{name}` is given twice"), "keep one");
        } else {
            self.constraints.push(Constraint { name, variant, value });
        }
    }

    /// The names of the allowed lints.
    pub(crate) fn allowed(&self) -> Vec<String> {
        self.allow.iter().map(ToString::to_string).collect()
    }

    /// For an argument that is flattened, which keeps those that apply to it.
    pub(crate) fn of_flattened(self, errors: &mut Errors) -> Self {
        let why = "the fields of a flattened argument are the inputs, each with what its own type says";
        self.refuse_all_but(&["allow", "flatten"], why, errors);
        Self {
            flatten: self.flatten,
            allow: self.allow,
            ..Self::default()
        }
    }

    /// For an argument to which only some options apply.
    pub(crate) fn refuse_all_but(&self, allowed: &[&str], why: &str, errors: &mut Errors) {
        for name in &self.names {
            let word = name.to_string();
            if OPTIONS.contains(&word.as_str()) && !allowed.contains(&word.as_str()) {
                errors.at(name, why, format!("remove `{word}`"));
            }
        }
    }
}

fn number(name: &Ident, value: &Expr, errors: &mut Errors) -> Option<Value> {
    let bound = Bound::read(value);
    if bound.as_ref().is_some_and(|bound| !bound.is_in_json()) {
        let range = format!("write one from {} to {}", i64::MIN, u64::MAX);
        errors.at(value, "a schema holds no whole number of this size", range);
        return None;
    }
    if bound.is_none() {
        let shown = value.to_token_stream().to_string().replace("- ", "-");
        errors.at(
            value,
            format!("`{shown}` is no number that is known while compiling"),
            format!("write a number, as `{name} = 1`"),
        );
    }
    bound.map(Value::Number)
}

fn count(name: &Ident, value: &Expr, errors: &mut Errors) -> Option<Value> {
    let bound = Bound::read(value).filter(Bound::is_count);
    if bound.is_none() {
        let shown = value.to_token_stream().to_string().replace("- ", "-");
        errors.at(
            value,
            format!("`{shown}` is no count"),
            format!("write a whole number, as `{name} = 1`"),
        );
    }
    bound.map(Value::Count)
}

fn pattern(_name: &Ident, value: &Expr, errors: &mut Errors) -> Option<Value> {
    let text = text(value, "`pattern`", errors)?;
    if let Some((wrong, write)) = pattern::mistake(&text.value()) {
        errors.at(&text, wrong, write);
    }
    Some(Value::Text(text))
}

fn format(_name: &Ident, value: &Expr, errors: &mut Errors) -> Option<Value> {
    let text = text(value, "`format`", errors)?;
    let name = text.value();
    if !FORMATS.contains(&name.as_str()) {
        let wrong = format!("`{name}` is no format that is checked");
        errors.at(&text, wrong, did_you_mean(&name, &FORMATS));
    }
    Some(Value::Text(text))
}

impl ToTokens for Part {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(match self {
            Self::Word(name) => quote!(#name),
            Self::Value(name, value) => quote!(#name = #value),
            Self::List(name, inside) => quote!(#name(#inside)),
            Self::Other(other) => quote!(#other),
        });
    }
}
