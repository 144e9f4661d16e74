//! The checked endpoint. If one exists, it expands.

use proc_macro2::Ident;
use quote::format_ident;
use syn::ext::IdentExt as _;
use syn::{Attribute as RustAttribute, LitStr, Type};

use super::attribute::Attribute;
use super::constraint::{self, Bounded, Options};
use super::mark;
use super::path;
use super::signature::{self, Argument, Kind, Output, Sorted};
use crate::doc;
use crate::error::{Errors, did_you_mean, nearest};
use crate::function::{Function, is_deprecated};

/// Everything about an endpoint that the expansion needs, checked.
pub(crate) struct Endpoint {
    pub(crate) function: Ident,
    /// Which builds the function is in.
    pub(crate) conditions: Vec<RustAttribute>,
    pub(crate) name: String,
    /// The items that clash where another endpoint of the module has the name, or the path.
    pub(crate) marks: [Ident; 2],
    pub(crate) description: String,
    pub(crate) deprecated: bool,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) effect: Ident,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) arguments: Vec<Checked>,
    pub(crate) output: Output,
    pub(crate) errors: Vec<Type>,
    pub(crate) allowed: Vec<String>,
}

/// What there is instead of an endpoint after mistakes.
pub(crate) struct Refused {
    pub(crate) mistakes: syn::Error,
    /// The function, to name something after it.
    pub(crate) function: Ident,
    pub(crate) conditions: Vec<RustAttribute>,
    /// Where it is clear which one is meant.
    pub(crate) method: Option<Method>,
    /// The arguments of which it is certain what they are: what their types lack is said together with the mistakes.
    pub(crate) arguments: Vec<Checked>,
    pub(crate) output: Output,
    pub(crate) errors: Vec<Type>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

impl Method {
    fn of(word: &str) -> Option<Self> {
        match word {
            "GET" => Some(Self::Get),
            "POST" => Some(Self::Post),
            _ => None,
        }
    }
}

/// One argument, in the order of the function.
pub(crate) enum Checked {
    Input(Box<Input>),
    Borrowed { name: String, ty: Type },
    Transaction { name: String, ty: Type },
    Extracted { name: String, ty: Type },
}

pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) description: String,
    pub(crate) options: Options,
}

impl Endpoint {
    pub(crate) fn check(attribute: &Attribute, function: &Function, mut errors: Errors) -> Result<Self, Box<Refused>> {
        let Sorted { mut arguments, output } = signature::sorted(function, &mut errors);
        let ident = &function.signature.ident;
        let own_name = ident.unraw().to_string();
        let method = check_method(attribute, ident, &mut errors);
        let name = attribute.name.as_ref().map_or_else(|| own_name.clone(), LitStr::value);
        let name_place = attribute.name.as_ref().map_or_else(|| ident.span(), LitStr::span);
        path::check_name(&name, &crate::span::moved(ident, name_place), &mut errors);
        let path = path::check(attribute, &name, &mut errors);
        let path_place = attribute.path.as_ref().map_or_else(|| ident.span(), LitStr::span);
        let description = check_description(function, &own_name, &mut errors);
        let transactional = arguments
            .iter()
            .any(|argument| matches!(argument.kind, Kind::Transaction));
        let effect = check_effect(attribute, method, transactional, &mut errors);
        let timeout_ms = attribute
            .timeout
            .as_ref()
            .and_then(|timeout| check_timeout(timeout, &mut errors));
        check_transactions(&mut arguments, method, &mut errors);
        let arguments = check_inputs(arguments, method, &mut errors);
        let deprecated = is_deprecated(&function.attributes);
        let allowed = constraint::allowed(&function.attributes, &mut errors);
        let condition = |attribute: &&RustAttribute| attribute.path().is_ident("cfg");
        let conditions = function.attributes.iter().filter(condition).cloned().collect();
        if let Err(mistakes) = errors.finish(()) {
            return Err(Box::new(Refused {
                mistakes,
                function: ident.clone(),
                conditions,
                method,
                arguments,
                output,
                errors: attribute.errors.clone(),
            }));
        }
        Ok(Self {
            function: ident.clone(),
            conditions,
            // Names of items can only be made of what has been checked.
            marks: [mark::of_name(&name, name_place), mark::of_path(&path, path_place)],
            name,
            description,
            // Known, because nothing was wrong with it.
            method: method.unwrap_or(Method::Post),
            path,
            effect,
            timeout_ms,
            arguments,
            output,
            errors: attribute.errors.clone(),
            allowed,
            deprecated,
        })
    }
}

/// The method that is meant, also where it is not written as it should be.
fn check_method(attribute: &Attribute, function: &Ident, errors: &mut Errors) -> Option<Method> {
    let Some(method) = &attribute.method else {
        let wrong = "the method is missing";
        let write = "write `#[operator_api(GET, \"/path\")]` for what reads, `#[operator_api(POST, \"/path\")]` for what changes something";
        if attribute.whole.is_empty() {
            errors.at(function, wrong, write);
        } else {
            errors.at(&attribute.whole, wrong, write);
        }
        return None;
    };
    let word = method.to_string();
    let capitals = word.to_ascii_uppercase();
    let near = nearest(&word, &["GET", "POST"]);
    let (wrong, write) = match word.as_str() {
        "GET" | "POST" => return Method::of(&word),
        _ if capitals == "GET" || capitals == "POST" => (
            "a method is written in capitals".to_owned(),
            format!("write `{capitals}`"),
        ),
        _ if ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT"].contains(&capitals.as_str()) => (
            format!("the agent calls by GET and POST only, not by {capitals}"),
            "write `POST` for what changes something, `GET` for what reads".to_owned(),
        ),
        _ => (
            format!("`{word}` is no method"),
            near.map_or_else(
                || "write `GET` or `POST` first".to_owned(),
                |near| format!("did you mean `{near}`?"),
            ),
        ),
    };
    errors.at(method, wrong, write);
    Method::of(&capitals).or_else(|| Method::of(near?))
}

fn check_description(function: &Function, name: &str, errors: &mut Errors) -> String {
    let before = errors.count();
    let description = doc::text(&function.attributes, errors);
    if errors.count() > before {
        return description;
    }
    if description.trim().is_empty() {
        errors.at(
            &function.signature.ident,
            "the endpoint has no description",
            "say in `///` lines above it what it does and when to use it: the agent decides by it",
        );
    } else if doc::only_repeats(&description, name) {
        errors.at(
            &function.signature.ident,
            "the description only repeats the name",
            "say what the agent cannot guess, and when to use it",
        );
    }
    description
}

fn check_effect(attribute: &Attribute, method: Option<Method>, transactional: bool, errors: &mut Errors) -> Ident {
    if let (Some(word), true) = (&attribute.read_only, transactional) {
        errors.at(
            word,
            "an endpoint with a transaction changes something",
            "remove `read_only`, or the transaction",
        );
    }
    if let Some(effect) = &attribute.effect {
        if method == Some(Method::Get) {
            errors.at(
                effect,
                "a GET changes nothing, so it has no effect",
                "remove `effect`, or write `POST`",
            );
        } else if let Some(word) = &attribute.read_only {
            errors.at(
                word,
                "a read-only endpoint has no effect",
                "keep `effect` or `read_only`",
            );
        } else if transactional {
            errors.at(
                effect,
                "an endpoint with a transaction is transactional",
                "remove `effect`",
            );
        }
    }
    let variant = match (&attribute.effect, method) {
        _ if transactional => "Transactional",
        (_, Some(Method::Get)) => "ReadOnly",
        _ if attribute.read_only.is_some() => "ReadOnly",
        (None, _) => "AtMostOnce",
        (Some(effect), _) => match effect.to_string().as_str() {
            "at_most_once" => "AtMostOnce",
            "rerunnable" => "Rerunnable",
            other => {
                errors.at(
                    effect,
                    format!("`{other}` is no effect"),
                    did_you_mean(other, &["at_most_once", "rerunnable"]),
                );
                "AtMostOnce"
            }
        },
    };
    format_ident!("{variant}")
}

fn check_timeout(literal: &LitStr, errors: &mut Errors) -> Option<u64> {
    let text = literal.value();
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let factor = match &text[digits.len()..] {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    let milliseconds = factor.and_then(|factor: u64| digits.parse::<u64>().ok()?.checked_mul(factor));
    let milliseconds = milliseconds.filter(|milliseconds| *milliseconds > 0);
    if milliseconds.is_none() {
        errors.at(
            literal,
            format!("`{text}` is no time"),
            "write `\"30s\"`, `\"500ms\"` or `\"2m\"`",
        );
    }
    milliseconds
}

/// Of a type that nobody here sees, one that is refused may be any: nothing more is said of it.
fn check_transactions(arguments: &mut [Argument], method: Option<Method>, errors: &mut Errors) {
    let transactions = arguments
        .iter_mut()
        .filter(|argument| matches!(argument.kind, Kind::Transaction));
    for (index, transaction) in transactions.enumerate() {
        if index > 0 {
            errors.at(
                &transaction.ty,
                "an endpoint has one `&mut` argument, its transaction",
                "keep one, and borrow what is the app's as `&T`",
            );
        } else if method == Some(Method::Get) {
            errors.at(
                &transaction.ty,
                "a GET changes nothing, so it has no `&mut` argument",
                "borrow `&T`, or a `&Reader<…>` of the database, or write `POST`",
            );
        } else {
            continue;
        }
        transaction.is_certain = false;
    }
}

/// The arguments of which it is certain what they are; without mistakes that is all of them.
fn check_inputs(arguments: Vec<Argument>, method: Option<Method>, errors: &mut Errors) -> Vec<Checked> {
    let mut names: Vec<String> = Vec::new();
    let mut flattened = false;
    let mut checked = Vec::new();
    for Argument {
        name,
        ty,
        kind,
        mut is_certain,
    } in arguments
    {
        let own = name.unraw().to_string();
        let argument = match kind {
            Kind::Borrowed => Checked::Borrowed { name: own, ty },
            Kind::Transaction => Checked::Transaction { name: own, ty },
            Kind::Extracted => Checked::Extracted { name: own, ty },
            Kind::Input { description, options } => {
                if let Some(word) = options.flatten.as_ref().filter(|_| flattened) {
                    let write = "make one struct of both";
                    errors.at(word, "one argument is flattened at most", write);
                }
                flattened |= options.flatten.is_some();
                is_certain &= !refuse_lists_in_get(&options, method, errors);
                let wire = wire_name(&name, &options, errors);
                // A flattened struct's fields have the names, which start-up compares, and the argument has none.
                if options.flatten.is_none() {
                    if names.contains(&wire) {
                        let wrong = format!("two inputs are named `{wire}` on the wire");
                        let write = "rename one";
                        match &options.rename {
                            Some(rename) => errors.at(rename, wrong, write),
                            None => errors.at(&name, wrong, write),
                        }
                    }
                    names.push(wire.clone());
                }
                Checked::Input(Box::new(Input {
                    name: wire,
                    ty,
                    description,
                    options: *options,
                }))
            }
        };
        checked.extend(is_certain.then_some(argument));
    }
    checked
}

fn wire_name(name: &Ident, options: &Options, errors: &mut Errors) -> String {
    match &options.rename {
        Some(rename) => {
            path::check_input_name(rename, errors);
            rename.value()
        }
        None => name.unraw().to_string(),
    }
}

/// Whether there is one.
fn refuse_lists_in_get(options: &Options, method: Option<Method>, errors: &mut Errors) -> bool {
    let before = errors.count();
    if method == Some(Method::Get) {
        let lists = options
            .constraints
            .iter()
            .filter(|constraint| constraint.bounds() == Bounded::Lists);
        for constraint in lists {
            errors.at(&constraint.name, "a GET takes no lists", "write `POST`");
        }
    }
    errors.count() > before
}
