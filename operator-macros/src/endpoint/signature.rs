//! Checks the function's signature, and sorts its arguments into four kinds: input, borrowed, transaction and
//! extracted.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::{
    Attribute, FnArg, GenericParam, Pat, PatType, PathArguments, ReturnType, Safety, Signature, Type, TypeReference,
};

use super::bounds;
use super::constraint::{self, Options};
use super::model::Role;
use super::owned::{self, bare};
use crate::doc::{self, Description};
use crate::error::Errors;
use crate::function::Function;

/// The sorted arguments and the returned type of a function.
pub(crate) struct Sorted {
    pub(crate) arguments: Vec<Argument>,
    pub(crate) output: Output,
}

/// The type that a function returns.
pub(crate) struct Output {
    pub(crate) ty: TokenStream,
    /// Where messages point: at the type as written, or at the function's name if no type is written.
    pub(crate) place: TokenStream,
    /// Whether no mistake affects the type, so that rustc can check the type as well.
    pub(crate) is_certain: bool,
}

/// One argument, sorted.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) kind: Kind,
    /// Whether no mistake affects the argument, so that rustc can check its type as well: every option could be parsed,
    /// the argument has no `cfg` condition, and the type has the same meaning outside the function.
    pub(crate) is_certain: bool,
}

/// Where the value of an argument comes from.
pub(crate) enum Kind {
    /// The caller.
    Input {
        description: Description,
        options: Box<Options>,
    },
    /// The app, `&T`.
    Borrowed,
    /// The store, `&mut T`.
    Transaction,
    /// An axum extractor.
    Extracted,
    /// The event.
    Payload,
}

/// Returns the arguments that could be sorted, and the return type.
pub(crate) fn sorted(function: &Function, role: Role, errors: &mut Errors) -> Sorted {
    let is_free = check_function(function, role, errors);
    let mut output = output(&function.signature, role, errors);
    output.is_certain &= is_free;
    let inputs = function.signature.inputs.iter();
    let mut arguments: Vec<Argument> = inputs.filter_map(|argument| sort(argument, role, errors)).collect();
    for argument in &mut arguments {
        argument.is_certain &= is_free;
    }
    Sorted { arguments, output }
}

/// Checks the function. Returns whether the types in its signature have the same meaning outside it: they use neither
/// generic parameters nor `Self`.
fn check_function(function: &Function, role: Role, errors: &mut Errors) -> bool {
    let signature = &function.signature;
    if signature.asyncness.is_none() {
        let write = "write `async fn`";
        errors.at(&signature.fn_token, format!("{role} function must be async"), write);
    }
    if let Safety::Unsafe(token) = &signature.safety {
        let write = "remove `unsafe`, and use an `unsafe` block in the body";
        errors.at(token, format!("{role} function cannot be unsafe"), write);
    }
    if let Some(abi) = &signature.abi {
        errors.at(abi, format!("{role} function cannot be extern"), "remove `extern`");
    }
    if let Some(token) = &signature.constness {
        errors.at(token, format!("{role} function cannot be const"), "remove `const`");
    }
    if let Some(variadic) = &signature.variadic {
        let wrong = format!("{role} function cannot be variadic");
        errors.at(variadic, wrong, "write one argument for each input");
    }
    let is_free = check_types(signature, role, errors);
    for attribute in function.attributes.iter().filter(|attribute| is_ours(attribute)) {
        let write = "remove the second attribute, or write a second function that calls this one";
        errors.at(
            attribute,
            "a function can be only one endpoint or one event handler",
            write,
        );
    }
    is_free
}

/// Reports `Self` and generic parameters. Returns whether there are none.
fn check_types(signature: &Signature, role: Role, errors: &mut Errors) -> bool {
    let before = errors.count();
    let mut types = signature.inputs.iter().filter_map(|argument| match argument {
        FnArg::Typed(argument) => Some(&argument.ty),
        FnArg::Receiver(_) => None,
    });
    let of_impl = types
        .find_map(|ty| word("Self", ty))
        .or_else(|| word("Self", &signature.output));
    if let Some(token) = of_impl {
        let write = "move it out of the `impl`, and write the name of the type";
        errors.at(&token, format!("{role} is a free function, so it has no `Self`"), write);
    }
    for parameter in &signature.generics.params {
        let (what, concrete) = match parameter {
            GenericParam::Lifetime(_) => continue,
            GenericParam::Type(_) => ("types", "types"),
            GenericParam::Const(_) => ("constants", "values"),
        };
        errors.at(
            parameter,
            format!("{role} cannot be generic over {what}"),
            format!("use concrete {concrete}"),
        );
    }
    errors.count() == before && signature.receiver().is_none()
}

fn output(signature: &Signature, role: Role, errors: &mut Errors) -> Output {
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
        errors.at(&borrow.tokens, format!("{role} cannot return borrowed data"), write);
    } else if let Some(token) = word("impl", ty) {
        let wrong = format!("{role} cannot return `impl …`, because its schema is generated from the type");
        errors.at(&token, wrong, "write the name of the type");
    }
    Output {
        ty: ty.to_token_stream(),
        place: ty.to_token_stream(),
        is_certain: errors.count() == before,
    }
}

/// The first token that is the identifier `word`.
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

/// Whether the attribute makes a function an endpoint or an event handler.
pub(crate) fn is_ours(attribute: &Attribute) -> bool {
    let name = attribute.path().segments.last();
    name.is_some_and(|segment| segment.ident == "operator_api" || segment.ident == "operator_event")
}

fn sort(argument: &FnArg, role: Role, errors: &mut Errors) -> Option<Argument> {
    let argument = match argument {
        FnArg::Receiver(receiver) => {
            let write = "write a free function that borrows what it needs, like `desk: &Desk`";
            errors.at(receiver, format!("{role} cannot take `self`"), write);
            return None;
        }
        FnArg::Typed(argument) => argument,
    };
    let options = constraint::parse(&argument.attrs, errors);
    bounds::check(&options, errors);
    let is_certain = options.are_read && !refuse_conditions(argument, role, errors);
    let name = name_of(argument, role, errors);
    let sorted = match bare(&argument.ty) {
        Type::Reference(reference) => borrowed(reference, &options, role, errors),
        owned => by_value(argument, owned, options, role, errors),
    };
    let (name, (kind, ty)) = (name?, sorted?);
    Some(Argument {
        name,
        ty,
        kind,
        is_certain,
    })
}

/// Reports `cfg` conditions on an argument. Returns whether there was one.
fn refuse_conditions(argument: &PatType, role: Role, errors: &mut Errors) -> bool {
    let before = errors.count();
    let conditional =
        |attribute: &&Attribute| attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr");
    for attribute in argument.attrs.iter().filter(conditional) {
        let name = attribute.path().to_token_stream();
        let wrong = format!("an argument of {role} cannot have a `{name}` condition");
        let write = "put a `cfg` on the function, and write one function for each case";
        errors.at(attribute, wrong, write);
    }
    errors.count() > before
}

fn borrowed(reference: &TypeReference, options: &Options, role: Role, errors: &mut Errors) -> Option<(Kind, Type)> {
    options.refuse_all_but(&[], "a borrowed argument, which is not an input", errors);
    let ty = bare(&reference.elem).clone();
    let is_text = matches!(&ty, Type::Path(path) if path.path.is_ident("str"));
    if is_text || matches!(ty, Type::Slice(_)) {
        let borrow = owned::of_reference(reference);
        let wrong = format!("{} must be owned", role.owned());
        errors.at(reference, wrong, format!("write {}", borrow.owned));
        return None;
    }
    if let Some(token) = word("impl", &ty) {
        let wrong = "app state cannot be `impl …`, because it is looked up by its type";
        errors.at(&token, wrong, "write the name of the type");
        return None;
    }
    if let Some(borrow) = owned::short_borrow(&ty) {
        let write = "give the app an owned value, and borrow that";
        errors.at(&borrow.tokens, "app state cannot contain borrowed data", write);
        return None;
    }
    if let Some(lifetime) = reference
        .lifetime
        .as_ref()
        .filter(|lifetime| lifetime.ident == "static")
    {
        let write = format!("write `&{}`", owned::shown(&ty));
        errors.at(lifetime, "app state is borrowed for one call, not for `'static`", write);
        return None;
    }
    let kind = if reference.mutability.is_some() {
        Kind::Transaction
    } else {
        Kind::Borrowed
    };
    Some((kind, ty))
}

fn by_value(
    argument: &PatType,
    ty: &Type,
    mut options: Options,
    role: Role,
    errors: &mut Errors,
) -> Option<(Kind, Type)> {
    let extracted = options.extract.is_some();
    let before = errors.count();
    let description = Description::read(&argument.attrs, errors);
    let is_read = errors.count() == before;
    if extracted {
        let what = "an extracted argument, which is not an input";
        options.refuse_all_but(&["extract"], what, errors);
    } else if role.is_event() {
        let what = "the payload of an event";
        options.refuse_all_but(&["extract"], what, errors);
    } else if options.flatten.is_some() {
        options = options.of_flattened(errors);
    } else {
        if let (Pat::Ident(pattern), true) = (&*argument.pat, is_read) {
            describe(&pattern.ident, &description, errors);
        }
        if options.lenient.is_some() {
            let what = "a lenient input, whose type alone decides which values are accepted";
            options.refuse_all_but(&["allow", "default", "example", "lenient", "rename"], what, errors);
        }
    }
    if let Some(token) = word("impl", ty) {
        let wrong = format!("{} cannot be `impl …`, because it is decoded as one type", role.owned());
        errors.at(&token, wrong, "write the name of the type");
        return None;
    }
    if let Some(borrow) = owned::borrow(ty) {
        errors.at(
            &borrow.tokens,
            format!("{} must be owned", role.owned()),
            format!("write {}", borrow.owned),
        );
        return None;
    }
    let kind = if extracted {
        Kind::Extracted
    } else if role.is_event() {
        Kind::Payload
    } else {
        Kind::Input {
            description,
            options: Box::new(options),
        }
    };
    Some((kind, ty.clone()))
}

fn name_of(argument: &PatType, role: Role, errors: &mut Errors) -> Option<Ident> {
    match &*argument.pat {
        Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => Some(pattern.ident.clone()),
        pattern => {
            let write = "write a name, and destructure the value in the body".to_owned();
            let write = of_extractor(pattern, &argument.ty).unwrap_or(write);
            errors.at(pattern, format!("an argument of {role} cannot be a pattern"), write);
            None
        }
    }
}

/// What to write instead of a pattern such as `State(desk): State<Desk>`, as handlers of axum have it.
fn of_extractor(pattern: &Pat, ty: &Type) -> Option<String> {
    let (Pat::TupleStruct(pattern), Type::Path(path)) = (pattern, bare(ty)) else {
        return None;
    };
    let Pat::Ident(name) = pattern.elems.first()? else {
        return None;
    };
    let (name, extractor) = (&name.ident, path.path.segments.last()?);
    let PathArguments::AngleBracketed(arguments) = &extractor.arguments else {
        return None;
    };
    let inner = owned::shown(arguments.args.first()?);
    Some(match extractor.ident.to_string().as_str() {
        "State" => format!("borrow app state as `{name}: &{inner}`"),
        "Query" | "Json" | "Form" => {
            format!("take each field as an argument, or the struct as `#[operator(flatten)] {name}: {inner}`")
        }
        _ => format!(
            "write `#[operator(extract)] {name}: {}`, and destructure it in the body",
            owned::shown(ty)
        ),
    })
}

fn describe(name: &Ident, description: &Description, errors: &mut Errors) {
    let Some(text) = description.known() else {
        return;
    };
    let shown = name.unraw().to_string();
    if text.trim().is_empty() {
        let (wrong, write) = undescribed(&shown);
        errors.at(name, wrong, write);
    } else if doc::only_repeats(text, &shown) {
        errors.at(
            name,
            format!("the description of `{shown}` only repeats the name"),
            "add what the agent cannot guess",
        );
    }
}

/// The error for an input without a description.
pub(crate) fn undescribed(input: &str) -> (String, &'static str) {
    let wrong = format!("the input `{input}` needs a description");
    (wrong, "add a `///` line that tells the agent what the input is")
}
