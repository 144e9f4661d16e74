//! The annotated function: its signature as syntax, its body as the tokens that were written.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt as _};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, ExprClosure, Item, Signature, TraitItemFn, Visibility, token};

/// A function whose body nobody here reads, so that one being typed is completed and checked as any other.
#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        if !input.peek(token::Brace) {
            return Err(input.error("an endpoint's function has a body · write it, `{ … }`"));
        }
        Ok(Self {
            attributes,
            visibility,
            signature,
            body: input.parse()?,
        })
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.append_all(&self.attributes);
        self.visibility.to_tokens(tokens);
        self.signature.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}

/// Whether rustc's `#[deprecated]` is among them.
pub(crate) fn is_deprecated(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("deprecated"))
}

/// What is wrong with an item that is no function with a body, at its name.
pub(crate) fn not_a_function(item: &TokenStream) -> syn::Error {
    let (kind, place) = match other_item(item) {
        Some(other) => other,
        // One that cannot be read, as one is while it is typed: the parser says where.
        None if has_word(item, "fn") => match syn::parse2::<Function>(item.clone()) {
            Err(error) => return error,
            Ok(function) => ("a function", function.signature.ident.to_token_stream()),
        },
        None if syn::parse2::<ExprClosure>(item.clone()).is_ok() => ("a closure", item.clone()),
        None => ("no function", first(item)),
    };
    let write = "put `#[operator_api]` on a free `async fn` with a body";
    syn::Error::new_spanned(place, format!("this is {kind} · {write}"))
}

/// What stands where a function should, and where to point at it.
fn other_item(item: &TokenStream) -> Option<(&'static str, TokenStream)> {
    if let Ok(function) = syn::parse2::<TraitItemFn>(item.clone()) {
        return Some(("a function without a body", function.sig.ident.to_token_stream()));
    }
    let name = |ident: &Ident| ident.to_token_stream();
    Some(match syn::parse2(item.clone()).ok()? {
        Item::Struct(item) => ("a struct", name(&item.ident)),
        Item::Enum(item) => ("an enum", name(&item.ident)),
        Item::Trait(item) => ("a trait", name(&item.ident)),
        Item::Mod(item) => ("a module", name(&item.ident)),
        Item::Const(item) => ("a constant", name(&item.ident)),
        Item::Static(item) => ("a static", name(&item.ident)),
        Item::Type(item) => ("a type alias", name(&item.ident)),
        Item::Impl(item) => ("an `impl`", item.impl_token.to_token_stream()),
        _ => return None,
    })
}

fn has_word(item: &TokenStream, word: &str) -> bool {
    item.clone()
        .into_iter()
        .any(|tree| matches!(tree, TokenTree::Ident(ident) if ident == word))
}

/// The first word behind the attributes.
fn first(item: &TokenStream) -> TokenStream {
    let mut trees = item.clone().into_iter();
    loop {
        match trees.next() {
            Some(TokenTree::Punct(hash)) if hash.as_char() == '#' => drop(trees.next()),
            word => return word.map(TokenTree::into).unwrap_or_default(),
        }
    }
}
