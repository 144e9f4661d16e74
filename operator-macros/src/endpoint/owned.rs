//! Finds the borrowed parts of a type by their lifetimes, so the names of the types do not matter.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{ParseStream, Parser as _};
use syn::{Type, TypeReference};

/// The type without parentheses and without the invisible group in which a `macro_rules!` macro wraps it.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

/// A borrowed part of a type.
pub(crate) struct Borrow {
    /// The borrowed part as written: `&str` or `'a`.
    pub(crate) tokens: TokenStream,
    /// The owned type to write instead.
    pub(crate) owned: String,
    /// Whether the lifetime is `'static`.
    pub(crate) forever: bool,
}

/// The first borrowed part of a type.
pub(crate) fn borrow(ty: &Type) -> Option<Borrow> {
    find(ty.to_token_stream())
}

/// The first borrowed part whose lifetime is shorter than `'static`.
pub(crate) fn short_borrow(ty: &Type) -> Option<Borrow> {
    borrow(ty).filter(|borrow| !borrow.forever)
}

fn find(tokens: TokenStream) -> Option<Borrow> {
    let mut rest = tokens.into_iter();
    while let Some(tree) = rest.next() {
        match tree {
            TokenTree::Group(group) => match find(group.stream()) {
                Some(borrow) if !borrow.forever => return Some(borrow),
                _ => {}
            },
            TokenTree::Punct(and) if and.as_char() == '&' => {
                let behind: TokenStream = rest.clone().collect();
                return (|input: ParseStream<'_>| {
                    let reference = input.parse()?;
                    input.parse::<TokenStream>()?;
                    Ok(of_reference(&reference))
                })
                .parse2(quote!(#and #behind))
                .ok();
            }
            TokenTree::Punct(quote) if quote.as_char() == '\'' => {
                let name = rest.next()?;
                if name.to_string() != "static" {
                    return Some(Borrow {
                        tokens: quote!(#quote #name),
                        owned: "an owned type, like `String` for `Cow<'_, str>`".to_owned(),
                        forever: false,
                    });
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    None
}

/// Describes a reference, with the owned type to write instead of it.
pub(crate) fn of_reference(reference: &TypeReference) -> Borrow {
    let owned = match bare(&reference.elem) {
        Type::Slice(slice) => format!("`Vec<{}>`", shown(&slice.elem)),
        Type::Path(path) if path.path.is_ident("str") => "`String`".to_owned(),
        other => format!("`{}`", shown(other)),
    };
    let lifetime = reference.lifetime.as_ref();
    Borrow {
        tokens: reference.to_token_stream(),
        owned,
        forever: lifetime.is_some_and(|lifetime| lifetime.ident == "static"),
    }
}

/// A type, formatted as rustfmt would format it.
pub(crate) fn shown(ty: &impl ToTokens) -> String {
    let mut shown = String::new();
    for word in ty.to_token_stream().to_string().split(' ') {
        let tight = |text: &str| text.starts_with(['<', '>', ',', ':', ')', ']', ';']);
        let open = shown.ends_with(['<', '&', ':', '(', '[']) || shown.is_empty();
        if !open && !tight(word) {
            shown.push(' ');
        }
        shown.push_str(word);
    }
    shown
}
