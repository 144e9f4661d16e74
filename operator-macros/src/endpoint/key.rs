//! Checks the option `key`, which names the inputs that identify an operation, and finds the inputs that options name.

use proc_macro2::Ident;
use syn::LitStr;
use syn::ext::IdentExt as _;

use super::attribute::Attribute;
use super::constraint::Options;
use super::model::Method;
use super::signature::{Argument, Kind};
use crate::error::Errors;

/// The wire names of the inputs in `key(…)`; empty without the option.
pub(crate) fn check(
    attribute: &Attribute,
    arguments: &[Argument],
    method: Option<Method>,
    errors: &mut Errors,
) -> Vec<String> {
    let Some((key, names)) = &attribute.key else {
        return Vec::new();
    };
    if method == Some(Method::Get) || attribute.read_only.is_some() {
        errors.at(
            key,
            "`key` does not apply to an endpoint that changes nothing, because its calls are not recorded",
            "remove it",
        );
        return Vec::new();
    }
    let mut wire_names = Vec::new();
    for name in names {
        let Some(wire_name) = input("key", name, arguments, errors) else {
            continue;
        };
        if wire_names.contains(&wire_name) {
            errors.at(name, format!("`key` names `{}` twice", name.unraw()), "remove one");
        }
        wire_names.push(wire_name);
    }
    wire_names
}

/// The wire name of the input with this name in the function. `option` names the input, and is in the messages.
pub(crate) fn input(option: &str, name: &Ident, arguments: &[Argument], errors: &mut Errors) -> Option<String> {
    let shown = name.unraw().to_string();
    match arguments.iter().find(|argument| argument.name == *name) {
        Some(argument) => match &argument.kind {
            Kind::Input { options, .. } if options.flatten.is_some() => {
                let wrong = format!("`{shown}` is flattened, so a call has no input of that name");
                errors.at(name, wrong, "name other inputs, or take its fields as arguments");
                None
            }
            Kind::Input { options, .. } => Some(wire_name(shown, options)),
            Kind::Borrowed | Kind::Transaction | Kind::Extracted | Kind::Payload => {
                let wrong = format!("`{shown}` is not an input, so no caller sends it");
                errors.at(name, wrong, format!("name owned arguments in `{option}`"));
                None
            }
        },
        None => {
            let inputs: Vec<String> = arguments.iter().filter_map(named).collect();
            let known: Vec<&str> = inputs.iter().map(String::as_str).collect();
            if known.is_empty() {
                let wrong = format!("there is no input `{shown}`");
                errors.at(name, wrong, format!("remove `{option}`, or add the input"));
            } else {
                errors.unknown(name, "input", &shown, &known);
            }
            None
        }
    }
}

/// The argument's name, if an option such as `key(…)` may refer to it. `None` for an argument that is not an input, or
/// is flattened.
fn named(argument: &Argument) -> Option<String> {
    match &argument.kind {
        Kind::Input { options, .. } if options.flatten.is_none() => Some(argument.name.unraw().to_string()),
        _ => None,
    }
}

fn wire_name(name: String, options: &Options) -> String {
    options.rename.as_ref().map_or(name, LitStr::value)
}
