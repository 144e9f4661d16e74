//! The annotated function. Its signature is parsed; its body is kept as unparsed tokens.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt as _};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, ExprClosure, Item, Signature, TraitItemFn, Visibility, token};

/// A function with an unparsed body, so that an editor can complete a body that is still being typed.
#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    body: TokenTree,
}

impl Function {
    /// The `cfg` attributes.
    pub(crate) fn conditions(&self) -> Vec<Attribute> {
        let is_condition = |attribute: &&Attribute| attribute.path().is_ident("cfg");
        self.attributes.iter().filter(is_condition).cloned().collect()
    }
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        if !input.peek(token::Brace) {
            return Err(input.error("the function must have a body: write `{ … }`"));
        }
        Ok(Self {
            attributes,
            visibility,
            signature,
            body: bare(input.parse()?),
        })
    }
}

/// The block without the invisible group in which a `macro_rules!` macro wraps it.
fn bare(block: TokenTree) -> TokenTree {
    match block {
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
            let inside = group.stream().into_iter().next();
            inside.map_or_else(|| TokenTree::Group(group), bare)
        }
        other => other,
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

/// Whether one of the attributes is rustc's `#[deprecated]`.
pub(crate) fn is_deprecated(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("deprecated"))
}

/// The error for an item that is not a function with a body. It is reported at the item's name.
pub(crate) fn not_a_function(attribute: &str, item: &TokenStream) -> syn::Error {
    let (kind, place) = match other_item(item) {
        Some(other) => other,
        // The item is a function that cannot be parsed, for example while it is being typed. The parser's own error
        // says where.
        None if has_word(item, "fn") => match syn::parse2::<Function>(item.clone()) {
            Err(error) => return error,
            Ok(function) => ("a function", function.signature.ident.to_token_stream()),
        },
        None if syn::parse2::<ExprClosure>(item.clone()).is_ok() => ("a closure", item.clone()),
        None => ("this item", first(item)),
    };
    let write = "put it on a free `async fn` with a body";
    syn::Error::new_spanned(place, format!("`#[{attribute}]` cannot be applied to {kind}: {write}"))
}

/// The kind of an item that is not a function with a body, and the tokens at which to report it.
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

/// The first token after the attributes.
fn first(item: &TokenStream) -> TokenStream {
    let mut trees = item.clone().into_iter();
    loop {
        match trees.next() {
            Some(TokenTree::Punct(hash)) if hash.as_char() == '#' => drop(trees.next()),
            word => return word.map(TokenTree::into).unwrap_or_default(),
        }
    }
}
