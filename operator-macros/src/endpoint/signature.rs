//! The function: async, free, not generic; each argument sorted into input, borrowed, transaction or extracted.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::{Attribute, FnArg, GenericParam, Pat, PatType, ReturnType, Safety, Signature, Type, TypeReference};

use super::constraint::{self, Options};
use super::owned;
use crate::doc;
use crate::error::Errors;
use crate::function::Function;

/// What a function takes and returns.
pub(crate) struct Sorted {
    pub(crate) arguments: Vec<Argument>,
    pub(crate) output: Output,
}

/// The type that a function returns.
pub(crate) struct Output {
    pub(crate) ty: TokenStream,
    /// What the user wrote of it, to point at: the function's name where that is nothing.
    pub(crate) place: TokenStream,
    /// Whether an endpoint can return it, as far as that is known without its type.
    pub(crate) is_certain: bool,
}

/// One argument, sorted.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) kind: Kind,
    /// Whether it is what its author means it to be: every option could be read, it is there in every build, and its type
    /// means the same beside the function.
    pub(crate) is_certain: bool,
}

/// Whose an argument is.
pub(crate) enum Kind {
    /// The caller's.
    Input { description: String, options: Box<Options> },
    /// The app's, `&T`.
    Borrowed,
    /// The store's, `&mut T`.
    Transaction,
    /// An axum extractor's.
    Extracted,
}

/// Every argument that can be sorted, and what is returned.
pub(crate) fn sorted(function: &Function, errors: &mut Errors) -> Sorted {
    let is_free = check_function(function, errors);
    let mut output = output(&function.signature, errors);
    output.is_certain &= is_free;
    let inputs = function.signature.inputs.iter();
    let mut arguments: Vec<Argument> = inputs.filter_map(|argument| sort(argument, errors)).collect();
    for argument in &mut arguments {
        argument.is_certain &= is_free;
    }
    Sorted { arguments, output }
}

/// Whether its types mean the same beside it: none is its own, or its `impl`'s.
fn check_function(function: &Function, errors: &mut Errors) -> bool {
    let signature = &function.signature;
    if signature.asyncness.is_none() {
        let write = "write `async fn`";
        errors.at(&signature.fn_token, "an endpoint's function is async", write);
    }
    if let Safety::Unsafe(token) = &signature.safety {
        let write = "remove `unsafe`, and wrap what needs it in the body";
        errors.at(token, "an endpoint's function cannot be unsafe", write);
    }
    if let Some(abi) = &signature.abi {
        errors.at(abi, "an endpoint's function has Rust's own ABI", "remove `extern`");
    }
    if let Some(token) = &signature.constness {
        errors.at(token, "an endpoint's function cannot be const", "remove `const`");
    }
    if let Some(variadic) = &signature.variadic {
        let wrong = "an endpoint takes a fixed number of arguments";
        errors.at(variadic, wrong, "name each input");
    }
    let is_free = check_types(signature, errors);
    for attribute in function
        .attributes
        .iter()
        .filter(|attribute| is_operator_api(attribute))
    {
        let write = "remove the second `#[operator_api]`, or write a second function that calls this one";
        errors.at(attribute, "a function is one endpoint", write);
    }
    is_free
}

/// That every type is named: its own, of no `impl` around it, and not left to a caller. Whether it is.
fn check_types(signature: &Signature, errors: &mut Errors) -> bool {
    let before = errors.count();
    let mut types = signature.inputs.iter().filter_map(|argument| match argument {
        FnArg::Typed(argument) => Some(&argument.ty),
        FnArg::Receiver(_) => None,
    });
    let of_impl = types
        .find_map(|ty| word("Self", ty))
        .or_else(|| word("Self", &signature.output));
    if let Some(token) = of_impl {
        let write = "put it beside the `impl`, and name the type";
        errors.at(&token, "an endpoint is a free function, which has no `Self`", write);
    }
    for parameter in &signature.generics.params {
        let what = match parameter {
            GenericParam::Lifetime(_) => continue,
            GenericParam::Type(_) => "types",
            GenericParam::Const(_) => "constants",
        };
        errors.at(
            parameter,
            format!("an endpoint cannot be generic over {what}"),
            "name what it is: its specification is derived from it",
        );
    }
    errors.count() == before && signature.receiver().is_none()
}

fn output(signature: &Signature, errors: &mut Errors) -> Output {
    let ReturnType::Type(_, ty) = &signature.output else {
        return Output {
            ty: quote!(()),
            place: signature.ident.to_token_stream(),
            is_certain: true,
        };
    };
    let before = errors.count();
    if let Some(borrow) = owned::short_borrow(ty) {
        let write = format!("return {}", borrow.owned);
        errors.at(&borrow.tokens, "an endpoint's answer outlives what it borrows", write);
    } else if let Some(token) = word("impl", ty) {
        let wrong = "an endpoint's answer is described from its type";
        errors.at(&token, wrong, "name the type instead of `impl …`");
    }
    Output {
        ty: ty.to_token_stream(),
        place: ty.to_token_stream(),
        is_certain: errors.count() == before,
    }
}

/// The first place where a word stands.
fn word(word: &str, tokens: &impl ToTokens) -> Option<TokenTree> {
    fn find(word: &str, tokens: TokenStream) -> Option<TokenTree> {
        tokens.into_iter().find_map(|tree| match &tree {
            TokenTree::Ident(ident) if ident == word => Some(tree),
            TokenTree::Group(group) => find(word, group.stream()),
            _ => None,
        })
    }
    find(word, tokens.to_token_stream())
}

fn is_operator_api(attribute: &Attribute) -> bool {
    let name = attribute.path().segments.last();
    name.is_some_and(|segment| segment.ident == "operator_api")
}

fn sort(argument: &FnArg, errors: &mut Errors) -> Option<Argument> {
    let argument = match argument {
        FnArg::Receiver(receiver) => {
            let write = "make it a free function, and borrow what it needs: `desk: &Desk`";
            errors.at(receiver, "an endpoint has no `self`", write);
            return None;
        }
        FnArg::Typed(argument) => argument,
    };
    let options = constraint::parse(&argument.attrs, errors);
    let is_certain = options.are_read && !refuse_conditions(argument, errors);
    let name = name_of(argument, errors);
    let sorted = match bare(&argument.ty) {
        Type::Reference(reference) => borrowed(reference, &options, errors),
        owned => by_value(argument, owned, options, errors),
    };
    let (name, (kind, ty)) = (name?, sorted?);
    Some(Argument {
        name,
        ty,
        kind,
        is_certain,
    })
}

/// The type without the invisible parentheses that a `macro_rules!` macro puts around it.
fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

/// Whether there are any.
fn refuse_conditions(argument: &PatType, errors: &mut Errors) -> bool {
    let before = errors.count();
    let conditional =
        |attribute: &&Attribute| attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr");
    for attribute in argument.attrs.iter().filter(conditional) {
        let write = "put the condition on the function, and write one function for each case";
        errors.at(attribute, "an endpoint has the same arguments in every build", write);
    }
    errors.count() > before
}

fn borrowed(reference: &TypeReference, options: &Options, errors: &mut Errors) -> Option<(Kind, Type)> {
    options.refuse_all_but(&[], "a borrowed argument is the app's, not an input", errors);
    let ty = bare(&reference.elem).clone();
    let is_text = matches!(&ty, Type::Path(path) if path.path.is_ident("str"));
    if is_text || matches!(ty, Type::Slice(_)) {
        let borrow = owned::of_reference(reference);
        errors.at(reference, "an input is owned", format!("write {}", borrow.owned));
        return None;
    }
    if let Some(token) = word("impl", &ty) {
        let wrong = "a value of the app's is found by its type";
        errors.at(&token, wrong, "name the type instead of `impl …`");
        return None;
    }
    if let Some(borrow) = owned::short_borrow(&ty) {
        let write = "give the app an owned value, and borrow that";
        errors.at(&borrow.tokens, "a value of the app's lives as long as the app", write);
        return None;
    }
    if let Some(lifetime) = reference
        .lifetime
        .as_ref()
        .filter(|lifetime| lifetime.ident == "static")
    {
        let write = format!("write `&{}`", owned::shown(&ty));
        errors.at(lifetime, "what an endpoint borrows is lent for one call", write);
        return None;
    }
    let kind = if reference.mutability.is_some() {
        Kind::Transaction
    } else {
        Kind::Borrowed
    };
    Some((kind, ty))
}

fn by_value(argument: &PatType, ty: &Type, mut options: Options, errors: &mut Errors) -> Option<(Kind, Type)> {
    let extracted = options.extract.is_some();
    let before = errors.count();
    let description = doc::text(&argument.attrs, errors);
    let is_read = errors.count() == before;
    if extracted {
        let why = "an extracted argument is not an input";
        options.refuse_all_but(&["extract"], why, errors);
    } else if options.flatten.is_some() {
        options = options.of_flattened(errors);
    } else if let (Pat::Ident(pattern), true) = (&*argument.pat, is_read) {
        describe(&pattern.ident, &description, errors);
    }
    if let Some(token) = word("impl", ty) {
        let wrong = "an input's specification is derived from its type";
        errors.at(&token, wrong, "name the type instead of `impl …`");
        return None;
    }
    if let Some(borrow) = owned::borrow(ty) {
        errors.at(&borrow.tokens, "an input is owned", format!("write {}", borrow.owned));
        return None;
    }
    let kind = if extracted {
        Kind::Extracted
    } else {
        Kind::Input {
            description,
            options: Box::new(options),
        }
    };
    Some((kind, ty.clone()))
}

fn name_of(argument: &PatType, errors: &mut Errors) -> Option<Ident> {
    match &*argument.pat {
        Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => Some(pattern.ident.clone()),
        pattern => {
            let write = "write a name, and take the value apart in the body";
            errors.at(pattern, "an argument's name is its name on the wire", write);
            None
        }
    }
}

fn describe(name: &Ident, description: &str, errors: &mut Errors) {
    let shown = name.unraw().to_string();
    if description.trim().is_empty() {
        errors.at(
            name,
            format!("the input `{shown}` has no description"),
            "say what it is in a `///` line above it: the agent decides by it",
        );
    } else if doc::only_repeats(description, &shown) {
        errors.at(
            name,
            format!("the description of `{shown}` only repeats its name"),
            "say what the agent cannot guess",
        );
    }
}
