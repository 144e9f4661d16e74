//! Checks the parsed attribute and function against each other, and builds the model of an endpoint from both.

use proc_macro2::{Ident, Span};
use quote::format_ident;
use syn::LitStr;

use super::attribute::Attribute;
use crate::doc::Description;
use crate::endpoint::check::{
    check_inputs, check_timeout, check_transactions, named_effect, refuse_effect_of_transaction, report_missing,
};
use crate::endpoint::mark;
use crate::endpoint::model::{Endpoint, Method, Refused, Role};
use crate::endpoint::signature::{self, Argument, Kind, Sorted};
use crate::error::{Errors, nearest};
use crate::function::{Function, is_deprecated};
use crate::options;

/// The types of events that the runtime knows, each with the runtime's description of its fields.
const KNOWN: [(&str, &str); 3] = [
    (SETUP, "CONVERSATION_SETUP"),
    ("conversation.ended", "CONVERSATION_ENDED"),
    ("conversation.custom_fields.updated", "CUSTOM_FIELDS_UPDATED"),
];
const SETUP: &str = "conversation.setup";
/// The time limit of a handler of `conversation.setup`, in milliseconds. A person waits for it.
const LIMIT_OF_SETUP: u64 = 3_000;
/// The largest number of characters in a type.
const LONGEST_TYPE: usize = 100;

/// What to do about options of an endpoint above a handler of events.
const NO_OPTIONS: &str = "remove it; only endpoints, with `#[operator_api]`, have limits and lints";

/// Checks everything before it returns, so that one compile reports every mistake.
pub(crate) fn check(attribute: &Attribute, function: &Function, mut errors: Errors) -> Result<Endpoint, Box<Refused>> {
    let ident = &function.signature.ident;
    let (event_type, place) = check_type(attribute, ident, &mut errors);
    let known = KNOWN.iter().find(|(known, _)| *known == event_type);
    let role = Role::Event {
        is_setup: event_type == SETUP,
        fields: known.map_or("CUSTOM", |(_, fields)| fields),
    };
    let Sorted { mut arguments, output } = signature::sorted(function, role, &mut errors);
    let description = Description::read(&function.attributes, &mut errors);
    options::refuse(&function.attributes, NO_OPTIONS, &mut errors);
    let effect = check_effect(attribute, role, &arguments, &mut errors);
    let timeout_ms = match &attribute.timeout {
        Some(timeout) => check_timeout(timeout, &mut errors),
        None => (event_type == SETUP).then_some(LIMIT_OF_SETUP),
    };
    check_payload(&mut arguments, &mut errors);
    check_transactions(&mut arguments, Some(Method::Post), role, &mut errors);
    let arguments = check_inputs(arguments, Some(Method::Post), &mut errors);
    let conditions = function.conditions();
    if let Err(mistakes) = errors.finish(()) {
        return Err(Box::new(Refused {
            role,
            runtime: attribute.runtime.clone(),
            mistakes,
            function: ident.clone(),
            conditions,
            method: Some(Method::Post),
            arguments,
            output,
            errors: Vec::new(),
        }));
    }
    Ok(Endpoint {
        role,
        runtime: attribute.runtime.clone(),
        function: ident.clone(),
        conditions,
        marks: (mark::of_event(&event_type, place), None),
        name: event_type,
        description,
        deprecated: is_deprecated(&function.attributes),
        method: Method::Post,
        path: String::new(),
        effect,
        key: Vec::new(),
        limits: Vec::new(),
        timeout_ms,
        scope: None,
        tag: None,
        arguments,
        output,
        errors: Vec::new(),
        allowed: Vec::new(),
    })
}

/// The type of the events, and where it is written.
fn check_type(attribute: &Attribute, function: &Ident, errors: &mut Errors) -> (String, Span) {
    match (&attribute.event_type, &attribute.custom) {
        (Some(event_type), None) => check_known(event_type, errors),
        (None, Some(custom)) => check_custom(custom, errors),
        (Some(_), Some(custom)) => {
            errors.at(
                custom,
                "a handler is for one type of event",
                "remove one of the two types",
            );
        }
        (None, None) => {
            let wrong = "the type of the event is missing";
            let write = "write `#[operator_event(\"conversation.setup\")]`";
            report_missing(&attribute.whole, function, wrong, write, errors);
        }
    }
    let literal = attribute.event_type.as_ref().or(attribute.custom.as_ref());
    literal.map_or_else(
        || (String::new(), function.span()),
        |literal| (literal.value(), literal.span()),
    )
}

fn check_known(literal: &LitStr, errors: &mut Errors) {
    let event_type = literal.value();
    let known = KNOWN.map(|(known, _)| known);
    if !known.contains(&event_type.as_str()) {
        let write = match nearest(&event_type, &known) {
            Some(near) => format!("did you mean `{near}`? For another type, write `custom = \"{event_type}\"`"),
            None => format!("write one of `{}`, or `custom = \"{event_type}\"`", known.join("`, `")),
        };
        errors.at(literal, format!("unknown type of event `{event_type}`"), write);
    }
}

fn check_custom(literal: &LitStr, errors: &mut Errors) {
    let event_type = literal.value();
    if KNOWN.iter().any(|(known, _)| *known == event_type) {
        let write = format!("write `#[operator_event(\"{event_type}\")]`");
        errors.at(literal, format!("`{event_type}` is a known type of event"), write);
    }
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if event_type.is_empty() || event_type.len() > LONGEST_TYPE || !event_type.chars().all(is_allowed) {
        let wrong = format!("`{event_type}` is not a type of event");
        let write = format!(
            "use 1 to {LONGEST_TYPE} ASCII letters, digits, `.`, `_` and `-`, like `custom = \"conversation.rated\"`"
        );
        errors.at(literal, wrong, write);
    }
}

/// The name of a variant of the runtime's `Effect`.
fn check_effect(attribute: &Attribute, role: Role, arguments: &[Argument], errors: &mut Errors) -> Ident {
    let is_transaction = |argument: &Argument| matches!(argument.kind, Kind::Transaction);
    if arguments.iter().any(is_transaction) {
        if let Some(effect) = &attribute.effect {
            refuse_effect_of_transaction(effect, role, errors);
        }
        return format_ident!("Transactional");
    }
    // A person waits for the answer to a setup, so a retry must not be told that the outcome is unknown.
    let default = match role {
        Role::Event { is_setup: true, .. } => "Rerunnable",
        _ => "AtMostOnce",
    };
    format_ident!("{}", named_effect(attribute.effect.as_ref(), default, errors))
}

/// Reports a second owned argument.
fn check_payload(arguments: &mut [Argument], errors: &mut Errors) {
    let payloads = arguments
        .iter_mut()
        .filter(|argument| matches!(argument.kind, Kind::Payload));
    for payload in payloads.skip(1) {
        let wrong = "an event handler can have only one owned argument, the payload";
        let write = "take one type with all fields, and borrow the rest: the event as `&Event`, app state as `&T`";
        errors.at(&payload.ty, wrong, write);
        payload.is_certain = false;
    }
}
