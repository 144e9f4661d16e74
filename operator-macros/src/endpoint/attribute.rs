//! What stands between an attribute's parentheses, as written: syntax only, spans kept, nothing defaulted.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Expr, Lit, LitStr, Token, Type, token};

use crate::error::{Errors, did_you_mean, nearest};

/// One of the parts between the commas.
pub(crate) enum Part {
    /// `read_only`
    Word(Ident),
    /// `name = "…"`
    Value(Ident, Expr),
    /// `errors(…)`
    List(Ident, TokenStream),
    /// `"/path"`
    Other(Expr),
}

impl Part {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let ahead = input.fork();
        let Ok(name) = Ident::parse_any(&ahead) else {
            return Ok(Self::Other(input.parse()?));
        };
        // Before a literal or another word only a comma is missing.
        if ahead.is_empty() || ahead.peek(Token![,]) || begins_a_part(&ahead) {
            Ident::parse_any(input)?;
            Ok(Self::Word(name))
        } else if ahead.peek(Token![=]) && !ahead.peek(Token![==]) {
            Ident::parse_any(input)?;
            input.parse::<Token![=]>()?;
            match input.is_empty() || input.peek(Token![,]) {
                true => Err(syn::Error::new(
                    name.span(),
                    format!("`{name} =` lacks its value · write `{name} = …`"),
                )),
                false => Ok(Self::Value(name, input.parse()?)),
            }
        } else if ahead.peek(token::Paren) {
            Ident::parse_any(input)?;
            let content;
            syn::parenthesized!(content in input);
            Ok(Self::List(name, content.parse()?))
        } else {
            Ok(Self::Other(input.parse()?))
        }
    }
}

/// Whether a literal or a word stands here.
fn begins_a_part(input: ParseStream<'_>) -> bool {
    input.peek(Lit) || input.peek(Ident::peek_any)
}

/// All parts that can be read; one that cannot be is recorded, and reading goes on behind the next comma, or where one is
/// missing.
pub(crate) fn parts(tokens: TokenStream, errors: &mut Errors) -> Vec<Part> {
    let reader = |input: ParseStream<'_>| {
        let mut parts = Vec::new();
        while !input.is_empty() {
            let part = errors.keep(Part::parse(input));
            let is_read = part.is_some();
            parts.extend(part);
            let ends = input.is_empty() || input.peek(Token![,]);
            if is_read && !ends {
                errors.push(input.error("expected `,` · put a comma between the parts"));
            }
            if !(is_read && begins_a_part(input)) {
                skip_to_comma(input)?;
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(parts)
    };
    let read = reader.parse2(tokens);
    errors.keep(read).unwrap_or_default()
}

fn skip_to_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}

/// `#[operator_api(…)]` as written.
#[derive(Default)]
pub(crate) struct Attribute {
    /// All of it: where to point when something is missing.
    pub(crate) whole: TokenStream,
    pub(crate) method: Option<Ident>,
    pub(crate) path: Option<LitStr>,
    pub(crate) name: Option<LitStr>,
    pub(crate) read_only: Option<Ident>,
    pub(crate) effect: Option<Ident>,
    pub(crate) timeout: Option<LitStr>,
    pub(crate) errors: Vec<Type>,
}

const OPTIONS: [&str; 5] = ["name", "read_only", "effect", "timeout", "errors"];
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
        attribute
    }

    fn take(&mut self, first: bool, part: Part, errors: &mut Errors) {
        match part {
            Part::Word(word) if word == "read_only" => {
                once(&mut self.read_only, &word.clone(), Some(word), "`read_only`", errors);
            }
            // The method stands first, so that what stands there is taken for one, however it is spelt.
            Part::Word(word) if is_method(&word) || (first && !OPTIONS.contains(&word.to_string().as_str())) => {
                once(&mut self.method, &word.clone(), Some(word), "the method", errors);
            }
            Part::Other(path) => self.take_path(&path, errors),
            Part::Value(name, value) if name == "name" => {
                once(&mut self.name, &name, text(&value, "`name`", errors), "`name`", errors);
            }
            Part::Value(name, value) if name == "timeout" => {
                let value = text(&value, "`timeout`", errors);
                once(&mut self.timeout, &name, value, "`timeout`", errors);
            }
            Part::Value(name, value) if name == "effect" => {
                once(&mut self.effect, &name, effect(&value, errors), "`effect`", errors);
            }
            Part::List(name, types) if name == "errors" => {
                let types = Punctuated::<Type, Token![,]>::parse_terminated.parse2(types);
                self.errors.extend(errors.keep(types).into_iter().flatten());
            }
            Part::Value(name, value) if name == "method" => {
                misplaced(&name, errors);
                // What was meant is known, so that it is not said to be missing.
                self.method = self.method.take().or_else(|| syn::parse2(quote!(#value)).ok());
            }
            // `ORDERS`, a constant.
            Part::Word(word) if self.path.is_none() && nearest(&word.to_string(), &OPTIONS).is_none() => {
                text(&Expr::Verbatim(word.to_token_stream()), "the path", errors);
            }
            Part::Word(name) | Part::Value(name, _) | Part::List(name, _) => misplaced(&name, errors),
        }
    }

    fn take_path(&mut self, path: &Expr, errors: &mut Errors) {
        let path_text = text(path, "the path", errors);
        let method = path_text
            .as_ref()
            .map(|path| (path.value().to_ascii_uppercase(), path.span()))
            .filter(|(word, _)| METHODS.contains(&word.as_str()));
        match (method, &self.method) {
            (Some((word, place)), None) => {
                // Of another method more is wrong than its quotes, which is said where methods are checked.
                if word == "GET" || word == "POST" {
                    let write = format!("write `{word}` without quotes");
                    errors.at(path, "the method is a word, not a text", write);
                }
                self.method = Some(Ident::new(&word, place));
            }
            _ => once(&mut self.path, path, path_text, "the path", errors),
        }
    }
}

fn is_method(word: &Ident) -> bool {
    METHODS.contains(&word.to_string().to_ascii_uppercase().as_str())
}

/// An option that does not exist, or exists in another form.
fn misplaced(name: &Ident, errors: &mut Errors) {
    let form = match name.to_string().as_str() {
        "name" => "write `name = \"…\"`",
        "read_only" => "write `read_only` alone",
        "effect" => "write `effect = at_most_once` or `effect = rerunnable`",
        "timeout" => "write `timeout = \"30s\"`",
        "errors" => "write `errors(RefundError)`",
        "path" => "write the path alone, as `\"/orders\"`",
        "method" => "write the method alone, as `GET`",
        unknown => {
            let advice = did_you_mean(unknown, &OPTIONS);
            return errors.at(name, format!("`{name}` is no option of `operator_api`"), advice);
        }
    };
    errors.at(name, format!("`{name}` is not written like this"), form);
}

/// Fills what may be given once.
pub(crate) fn once<T>(slot: &mut Option<T>, at: &impl ToTokens, value: Option<T>, what: &str, errors: &mut Errors) {
    match slot {
        Some(_) => errors.at(at, format!("{what} is given twice"), "keep one"),
        None => *slot = value,
    }
}

/// A literal, also one handed through by a `macro_rules!` macro.
pub(crate) fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(literal) => Some(&literal.lit),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}

/// A text literal.
pub(crate) fn text(value: &Expr, what: &str, errors: &mut Errors) -> Option<LitStr> {
    if let Some(Lit::Str(text)) = literal(value) {
        return Some(text.clone());
    }
    let wrong = format!("{what} has to be known while compiling");
    errors.at(value, wrong, "write a text, `\"…\"`");
    None
}

fn effect(value: &Expr, errors: &mut Errors) -> Option<Ident> {
    let word = syn::parse2(quote!(#value)).ok();
    if word.is_none() {
        errors.at(
            value,
            "this is no effect",
            "write `at_most_once` or `rerunnable`, without quotes",
        );
    }
    word
}
