//! Parses the arguments of `#[operator_api(…)]`: only their syntax, with spans and without defaults.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Expr, LitStr, Token, Type};

use crate::error::{Errors, nearest};
use crate::options::{Part, once, parts, string, string_once};
use crate::runtime::Runtime;

/// `#[operator_api(…)]` as written.
#[derive(Default)]
pub(crate) struct Attribute {
    /// All tokens. Messages point at them if something is missing.
    pub(crate) whole: TokenStream,
    pub(crate) method: Option<Ident>,
    pub(crate) path: Option<LitStr>,
    pub(crate) name: Option<LitStr>,
    pub(crate) read_only: Option<Ident>,
    pub(crate) effect: Option<Ident>,
    pub(crate) timeout: Option<LitStr>,
    pub(crate) scope: Option<LitStr>,
    pub(crate) tag: Option<LitStr>,
    pub(crate) errors: Vec<Type>,
    /// `key` with the names in its parentheses.
    pub(crate) key: Option<(Ident, Vec<Ident>)>,
    pub(crate) runtime: Runtime,
}

pub(crate) const OPTIONS: [&str; 9] = [
    "name",
    "read_only",
    "effect",
    "timeout",
    "scope",
    "tag",
    "errors",
    "key",
    "crate",
];
const METHODS: [&str; 9] = [
    "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT",
];

impl Attribute {
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut attribute = Self {
            whole: tokens.clone(),
            ..Self::default()
        };
        for (index, part) in parts(tokens, errors).into_iter().enumerate() {
            attribute.take(index == 0, part, errors);
        }
        attribute.runtime.check(errors);
        attribute
    }

    fn take(&mut self, first: bool, part: Part, errors: &mut Errors) {
        match part {
            Part::Word(word) if word == "read_only" => {
                once(&mut self.read_only, &word.clone(), Some(word), "`read_only`", errors);
            }
            // The method is the first word. So the first word is read as a method unless it is an option; it may be a
            // misspelled method.
            Part::Word(word) if is_method(&word) || (first && !OPTIONS.contains(&word.to_string().as_str())) => {
                once(&mut self.method, &word.clone(), Some(word), "the method", errors);
            }
            Part::Other(path) => self.take_path(&path, errors),
            Part::Value(name, value) if name == "name" => {
                string_once(&mut self.name, &name, &value, "refund_order", errors);
            }
            Part::Value(name, value) if name == "timeout" => {
                string_once(&mut self.timeout, &name, &value, "30s", errors);
            }
            Part::Value(name, value) if name == "scope" => {
                string_once(&mut self.scope, &name, &value, "refunds:write", errors);
            }
            Part::Value(name, value) if name == "tag" => {
                string_once(&mut self.tag, &name, &value, "Refunds", errors);
            }
            Part::Value(name, value) if name == "effect" => {
                once(&mut self.effect, &name, effect(&value, errors), "`effect`", errors);
            }
            Part::Value(name, value) if name == "crate" => self.runtime.take(&name, &value, errors),
            Part::List(name, types) if name == "errors" => {
                let types = Punctuated::<Type, Token![,]>::parse_terminated.parse2(types);
                self.errors.extend(errors.keep(types).into_iter().flatten());
            }
            Part::List(name, inputs) if name == "key" => {
                let inputs = names(&name, &inputs, errors);
                once(
                    &mut self.key,
                    &name.clone(),
                    inputs.map(|inputs| (name, inputs)),
                    "`key`",
                    errors,
                );
            }
            Part::Value(name, value) if name == "method" => {
                misplaced(&name, errors);
                // The value tells which method is meant, so no second message reports a missing method.
                self.method = self.method.take().or_else(|| syn::parse2(quote!(#value)).ok());
            }
            // The word is probably the name of a constant that contains the path, such as `ORDERS`.
            Part::Word(word) if self.path.is_none() && nearest(&word.to_string(), &OPTIONS).is_none() => {
                path_string(&Expr::Verbatim(word.to_token_stream()), errors);
            }
            Part::Word(name) | Part::Value(name, _) | Part::List(name, _) => misplaced(&name, errors),
        }
    }

    fn take_path(&mut self, path: &Expr, errors: &mut Errors) {
        let literal = path_string(path, errors);
        let method = literal
            .as_ref()
            .map(|path| (path.value().to_ascii_uppercase(), path.span()))
            .filter(|(word, _)| METHODS.contains(&word.as_str()));
        match (method, &self.method) {
            (Some((word, place)), None) => {
                // Methods other than GET and POST are refused later, in `check`. They are not refused here, so that
                // there is only one message.
                if word == "GET" || word == "POST" {
                    let write = format!("write `{word}` without quotes");
                    errors.at(path, "the method is not a string", write);
                }
                self.method = Some(Ident::new(&word, place));
            }
            _ => once(&mut self.path, path, literal, "the path", errors),
        }
    }
}

fn is_method(word: &Ident) -> bool {
    METHODS.contains(&word.to_string().to_ascii_uppercase().as_str())
}

/// Reports an option that does not exist or that is written with the wrong syntax.
fn misplaced(name: &Ident, errors: &mut Errors) {
    let form = match name.to_string().as_str() {
        "name" => "write `name = \"…\"`",
        "read_only" => "write `read_only` alone",
        "effect" => "write `effect = at_most_once` or `effect = rerunnable`",
        "timeout" => "write `timeout = \"30s\"`",
        "scope" => "write `scope = \"refunds:write\"`",
        "tag" => "write `tag = \"Refunds\"`",
        "errors" => "write `errors(RefundError)`",
        "key" => "write `key(order_id)`",
        "crate" => "write `crate = \"my_wrapper::rt\"`",
        "path" => "write the path alone, like `\"/orders\"`",
        "method" => "write the method alone, like `GET`",
        unknown => return errors.unknown(name, "option", unknown, &OPTIONS),
    };
    errors.at(name, format!("wrong syntax for `{name}`"), form);
}

/// The names in `key(…)`.
fn names(key: &Ident, inputs: &TokenStream, errors: &mut Errors) -> Option<Vec<Ident>> {
    if inputs.is_empty() {
        let wrong = "`key` must name the inputs that identify an operation";
        errors.at(key, wrong, "write `key(order_id)`, or remove it");
        return None;
    }
    let names = words(inputs);
    if names.is_none() {
        let wrong = "`key` takes names of inputs, separated by commas";
        errors.at(inputs, wrong, "write `key(order_id, request_id)`");
    }
    names
}

/// The words, if the tokens are words separated by commas.
pub(crate) fn words(tokens: &TokenStream) -> Option<Vec<Ident>> {
    let parser =
        |input: ParseStream<'_>| Punctuated::<Ident, Token![,]>::parse_terminated_with(input, Ident::parse_any);
    Some(parser.parse2(tokens.clone()).ok()?.into_iter().collect())
}

fn path_string(value: &Expr, errors: &mut Errors) -> Option<LitStr> {
    string(value, "the path", "\"/orders\"", errors)
}

pub(crate) fn effect(value: &Expr, errors: &mut Errors) -> Option<Ident> {
    let word = word(value);
    if word.is_none() {
        errors.at(
            value,
            "an effect must be a word",
            "write `at_most_once` or `rerunnable`, without quotes",
        );
    }
    word
}

/// The value, if it is one word.
pub(crate) fn word(value: &Expr) -> Option<Ident> {
    let parser = |input: ParseStream<'_>| Ident::parse_any(input);
    parser.parse2(quote!(#value)).ok()
}
