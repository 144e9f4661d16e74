//! Parses the arguments of `#[operator_event(…)]`: only their syntax, with spans and without defaults.

use proc_macro2::{Ident, TokenStream};
use syn::LitStr;

use crate::endpoint::attribute::effect;
use crate::error::Errors;
use crate::options::{Part, once, parts, string, string_once};
use crate::runtime::Runtime;

/// `#[operator_event(…)]` as written.
#[derive(Default)]
pub(crate) struct Attribute {
    /// All tokens. Messages point at them if something is missing.
    pub(crate) whole: TokenStream,
    /// A type that the macro knows.
    pub(crate) event_type: Option<LitStr>,
    /// A type that the macro does not know.
    pub(crate) custom: Option<LitStr>,
    pub(crate) effect: Option<Ident>,
    pub(crate) timeout: Option<LitStr>,
    pub(crate) runtime: Runtime,
}

pub(crate) const OPTIONS: [&str; 4] = ["custom", "effect", "timeout", "crate"];

impl Attribute {
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut attribute = Self {
            whole: tokens.clone(),
            ..Self::default()
        };
        for part in parts(tokens, errors) {
            attribute.take(part, errors);
        }
        attribute.runtime.check(errors);
        attribute
    }

    fn take(&mut self, part: Part, errors: &mut Errors) {
        match part {
            Part::Other(value) => {
                let event_type = string(&value, "the type of the event", "\"conversation.setup\"", errors);
                once(
                    &mut self.event_type,
                    &value,
                    event_type,
                    "the type of the event",
                    errors,
                );
            }
            Part::Value(name, value) if name == "custom" => {
                string_once(&mut self.custom, &name, &value, "conversation.rated", errors);
            }
            Part::Value(name, value) if name == "timeout" => {
                string_once(&mut self.timeout, &name, &value, "30s", errors);
            }
            Part::Value(name, value) if name == "effect" => {
                once(&mut self.effect, &name, effect(&value, errors), "`effect`", errors);
            }
            Part::Value(name, value) if name == "crate" => self.runtime.take(&name, &value, errors),
            Part::Word(name) | Part::Value(name, _) | Part::List(name, _) => misplaced(&name, errors),
        }
    }
}

/// Reports an option that does not exist or that is written with the wrong syntax.
fn misplaced(name: &Ident, errors: &mut Errors) {
    let form = match name.to_string().as_str() {
        "custom" => "write `custom = \"conversation.rated\"`",
        "effect" => "write `effect = at_most_once` or `effect = rerunnable`",
        "timeout" => "write `timeout = \"30s\"`",
        "crate" => "write `crate = \"my_wrapper::rt\"`",
        unknown => return errors.unknown(name, "option", unknown, &OPTIONS),
    };
    errors.at(name, format!("wrong syntax for `{name}`"), form);
}
