//! Checks the parsed attribute and function against each other, and builds the model from both.

use proc_macro2::{Ident, Span, TokenStream};
use quote::format_ident;
use syn::LitStr;
use syn::ext::IdentExt as _;

use super::attribute::Attribute;
use super::constraint::{self, Bounded, Options};
use super::key;
use super::limit;
use super::mark;
use super::model::{Checked, Endpoint, Input, Method, Refused, Role};
use super::path;
use super::signature::{self, Argument, Kind, Sorted};
use crate::doc::{self, Description};
use crate::error::{Errors, nearest, suggestion};
use crate::function::{Function, is_deprecated};
use crate::span;

/// Checks everything before it returns, so that one compile reports every mistake.
pub(crate) fn check(attribute: &Attribute, function: &Function, mut errors: Errors) -> Result<Endpoint, Box<Refused>> {
    let Sorted { mut arguments, output } = signature::sorted(function, Role::Endpoint, &mut errors);
    let ident = &function.signature.ident;
    let own_name = ident.unraw().to_string();
    let method = check_method(attribute, ident, &mut errors);
    let name = attribute.name.as_ref().map_or_else(|| own_name.clone(), LitStr::value);
    let name_place = attribute.name.as_ref().map_or_else(|| ident.span(), LitStr::span);
    path::check_name(&name, &span::moved(ident, name_place), &mut errors);
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
    let scope = attribute.scope.as_ref().map(|scope| check_scope(scope, &mut errors));
    let tag = attribute.tag.as_ref().map(|tag| check_tag(tag, &mut errors));
    check_transactions(&mut arguments, method, Role::Endpoint, &mut errors);
    let key = key::check(attribute, &arguments, method, &mut errors);
    let read_only = attribute.read_only.is_some();
    let limits = limit::check(&function.attributes, &arguments, method, read_only, &mut errors);
    let arguments = check_inputs(arguments, method, &mut errors);
    let deprecated = is_deprecated(&function.attributes);
    let allowed = constraint::allowed(&function.attributes, &mut errors);
    let conditions = function.conditions();
    if let Err(mistakes) = errors.finish(()) {
        return Err(Box::new(Refused {
            role: Role::Endpoint,
            runtime: attribute.runtime.clone(),
            mistakes,
            function: ident.clone(),
            conditions,
            method,
            arguments,
            output,
            errors: attribute.errors.clone(),
        }));
    }
    Ok(Endpoint {
        role: Role::Endpoint,
        runtime: attribute.runtime.clone(),
        function: ident.clone(),
        conditions,
        // Only checked names and paths are used here, because others might not give a valid identifier.
        marks: (mark::of_name(&name, name_place), Some(mark::of_path(&path, path_place))),
        name,
        description,
        // The method is never `None` here, because a missing method is a mistake.
        method: method.unwrap_or(Method::Post),
        path,
        effect,
        key,
        limits,
        timeout_ms,
        scope,
        tag,
        arguments,
        output,
        errors: attribute.errors.clone(),
        allowed,
        deprecated,
    })
}

/// Reports that a part of the attribute is missing. `whole` has all of its parts; if there are none, rustc shows the
/// attribute itself.
pub(crate) fn report_missing(whole: &TokenStream, function: &Ident, wrong: &str, write: &str, errors: &mut Errors) {
    if whole.is_empty() {
        errors.at(&span::moved(function, Span::call_site()), wrong, write);
    } else {
        errors.at(whole, wrong, write);
    }
}

const METHODS: [&str; 2] = ["GET", "POST"];

/// The method that the user meant, even if it is misspelled.
fn check_method(attribute: &Attribute, function: &Ident, errors: &mut Errors) -> Option<Method> {
    let Some(method) = &attribute.method else {
        let wrong = "the method is missing";
        let write = "write `#[operator_api(GET, \"/path\")]` to read, or `#[operator_api(POST, \"/path\")]` to change something";
        report_missing(&attribute.whole, function, wrong, write, errors);
        return None;
    };
    let word = method.to_string();
    let capitals = word.to_ascii_uppercase();
    let near = nearest(&word, &METHODS);
    let (wrong, write) = match word.as_str() {
        "GET" | "POST" => return Method::of(&word),
        _ if capitals == "GET" || capitals == "POST" => (
            "the method must be in capitals".to_owned(),
            format!("write `{capitals}`"),
        ),
        _ if ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT"].contains(&capitals.as_str()) => (
            format!("an endpoint cannot use the method {capitals}"),
            "write `POST` to change something, or `GET` to read".to_owned(),
        ),
        _ => (format!("unknown method `{word}`"), suggestion(&word, &METHODS)),
    };
    errors.at(method, wrong, write);
    Method::of(&capitals).or_else(|| Method::of(near?))
}

fn check_description(function: &Function, name: &str, errors: &mut Errors) -> Description {
    let before = errors.count();
    let description = Description::read(&function.attributes, errors);
    let Some(text) = description.known().filter(|_| errors.count() == before) else {
        return description;
    };
    if text.trim().is_empty() {
        let (wrong, write) = UNDESCRIBED;
        errors.at(&function.signature.ident, wrong, write);
    } else if doc::only_repeats(text, name) {
        errors.at(
            &function.signature.ident,
            "the description only repeats the name",
            "add what the agent cannot guess, and when to use the endpoint",
        );
    }
    description
}

/// The error for an endpoint without a description.
pub(crate) const UNDESCRIBED: (&str, &str) = (
    "the endpoint needs a description",
    "add `///` lines that tell the agent what the endpoint does and when to use it",
);

/// The name of a variant of the runtime's `Effect`.
fn check_effect(attribute: &Attribute, method: Option<Method>, transactional: bool, errors: &mut Errors) -> Ident {
    refuse_effect(attribute, method, transactional, errors);
    let variant = match (&attribute.effect, method) {
        _ if transactional => "Transactional",
        (_, Some(Method::Get)) => "ReadOnly",
        _ if attribute.read_only.is_some() => "ReadOnly",
        (effect, _) => named_effect(effect.as_ref(), "AtMostOnce", errors),
    };
    format_ident!("{variant}")
}

/// The variant of the effect with this name, or else the default.
pub(crate) fn named_effect(effect: Option<&Ident>, default: &'static str, errors: &mut Errors) -> &'static str {
    let Some(effect) = effect else {
        return default;
    };
    match effect.to_string().as_str() {
        "at_most_once" => "AtMostOnce",
        "rerunnable" => "Rerunnable",
        other => {
            errors.unknown(effect, "effect", other, &["at_most_once", "rerunnable"]);
            default
        }
    }
}

/// Reports `read_only` and `effect` if the method or a transaction already decides the effect.
fn refuse_effect(attribute: &Attribute, method: Option<Method>, transactional: bool, errors: &mut Errors) {
    if let (Some(word), true) = (&attribute.read_only, transactional) {
        errors.at(
            word,
            "an endpoint with a transaction cannot be read-only",
            "remove `read_only` or the transaction",
        );
    }
    if let Some(effect) = &attribute.effect {
        if method == Some(Method::Get) {
            errors.at(
                effect,
                "`effect` does not apply to a GET, which changes nothing",
                "remove it, or use `POST`",
            );
        } else if let Some(word) = &attribute.read_only {
            errors.at(
                word,
                "`effect` does not apply to a read-only endpoint",
                "remove `effect` or `read_only`",
            );
        } else if transactional {
            refuse_effect_of_transaction(effect, Role::Endpoint, errors);
        }
    }
}

pub(crate) fn refuse_effect_of_transaction(effect: &Ident, role: Role, errors: &mut Errors) {
    let wrong = format!("`effect` does not apply to {role} with a transaction");
    errors.at(effect, wrong, "remove it");
}

/// The timeout in milliseconds.
pub(crate) fn check_timeout(literal: &LitStr, errors: &mut Errors) -> Option<u64> {
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
            format!("`{text}` is not a valid timeout"),
            "write `\"30s\"`, `\"500ms\"` or `\"2m\"`",
        );
    }
    milliseconds
}

/// The scope of an access token (RFC 6749 §3.3).
fn check_scope(literal: &LitStr, errors: &mut Errors) -> String {
    let scope = literal.value();
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if scope.is_empty() || !scope.bytes().all(is_allowed) {
        errors.at(
            literal,
            "a scope is one word of visible ASCII characters without quotes and backslashes",
            "write a scope of the issuer, like `scope = \"refunds:write\"`, or remove it",
        );
    }
    scope
}

/// The tag, which readers of the OpenAPI document see as a heading.
fn check_tag(literal: &LitStr, errors: &mut Errors) -> String {
    let tag = literal.value();
    if tag.trim().is_empty() || tag.trim() != tag || tag.chars().any(char::is_control) {
        errors.at(
            literal,
            "a tag cannot be empty, begin or end with a space, or contain control characters",
            "write a heading, like `tag = \"Refunds\"`, or remove it",
        );
    }
    tag
}

/// Reports a `&mut` argument that is not allowed. Such an argument may have any type, so nothing further is reported
/// about its type.
pub(crate) fn check_transactions(arguments: &mut [Argument], method: Option<Method>, role: Role, errors: &mut Errors) {
    let transactions = arguments
        .iter_mut()
        .filter(|argument| matches!(argument.kind, Kind::Transaction));
    for (index, transaction) in transactions.enumerate() {
        if index > 0 {
            errors.at(
                &transaction.ty,
                format!("{role} can have only one `&mut` argument, its transaction"),
                "keep one, and borrow app state as `&T`",
            );
        } else if method == Some(Method::Get) {
            errors.at(
                &transaction.ty,
                "a GET changes nothing, so it cannot have a `&mut` argument",
                "borrow app state as `&T`, read the database through `&Reader<…>`, or use `POST`",
            );
        } else {
            continue;
        }
        transaction.is_certain = false;
    }
}

/// Returns the arguments that no mistake affects.
pub(crate) fn check_inputs(arguments: Vec<Argument>, method: Option<Method>, errors: &mut Errors) -> Vec<Checked> {
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
            Kind::Payload => Checked::Payload { ty },
            Kind::Input { description, options } => {
                if let Some(word) = options.flatten.as_ref().filter(|_| flattened) {
                    let write = "combine both into one struct";
                    errors.at(word, "only one argument can be flattened", write);
                }
                flattened |= options.flatten.is_some();
                if let (Some(word), Some(Method::Get)) = (&options.lenient, method) {
                    let wrong = "`lenient` does not apply to a GET, where the type of an input always decides which values are accepted";
                    errors.at(word, wrong, "remove it");
                }
                is_certain &= !refuse_lists_in_get(&options, method, errors);
                let wire = wire_name(&name, &options, errors);
                // The name of a flattened argument is not an input. The names of its fields are compared at start-up.
                if options.flatten.is_none() {
                    if names.contains(&wire) {
                        let wrong = format!("two inputs are named `{wire}`");
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

/// Reports options for lists if the method is GET. Returns whether an option was reported.
fn refuse_lists_in_get(options: &Options, method: Option<Method>, errors: &mut Errors) -> bool {
    let before = errors.count();
    if method == Some(Method::Get) {
        let lists = options
            .constraints
            .iter()
            .filter(|constraint| constraint.bounds() == Bounded::Lists);
        for constraint in lists {
            let wrong = format!("`{}` is for lists, which a GET cannot take", constraint.name);
            errors.at(&constraint.name, wrong, "use `POST`");
        }
    }
    errors.count() > before
}
