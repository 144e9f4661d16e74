//! From the checked endpoint to one static and calls into the runtime; and the function as written after mistakes.
//!
//! What the type system has to say, it says of the user's own tokens: each type stands as `<T as Trait>`, where rustc
//! points at `T` and adds nothing about bounds of functions that the user never called. A type that stands twice is
//! reported once, because rustc leaves out an error equal to one that it has printed.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::FnArg;
use syn::ext::IdentExt as _;

use super::checks::{self, checks};
use super::constraint::{Constraint, Value};
use super::model::{Checked, Endpoint, Input, Method, Refused};
use super::signature::Output;
use crate::function::Function;
use crate::span;

/// The function with what only the macro reads taken off its arguments; its body is not touched.
pub(crate) fn cleaned(mut function: Function) -> Function {
    // It is refused; rustc would say beside that no stable Rust has it.
    function.signature.variadic = None;
    for argument in &mut function.signature.inputs {
        if let FnArg::Typed(argument) = argument {
            argument
                .attrs
                .retain(|attribute| !attribute.path().is_ident("operator") && !crate::doc::is_doc(attribute));
        }
    }
    function.attributes.retain(|attribute| {
        let name = attribute.path().segments.last();
        name.is_none_or(|segment| segment.ident != "operator_api" && segment.ident != "operator")
    });
    function
}

/// Every mistake, and the item as written, so that nothing else turns red.
pub(crate) fn mistakes(mistakes: &syn::Error, item: &impl quote::ToTokens) -> TokenStream {
    let mistakes = mistakes.to_compile_error();
    // With no endpoint that names it, it would be reported as unused, and all that only it calls.
    quote!(#[allow(dead_code)] #item #mistakes)
}

/// The same, and what the types of the arguments and of the answer lack, so that it is not left for the next compile.
pub(crate) fn refused(refused: &Refused, function: &Function) -> TokenStream {
    let written = mistakes(&refused.mistakes, function);
    let name = Ident::new(
        &format!("endpoint_types_of_{}", refused.function.unraw()),
        Span::call_site(),
    );
    let types = constant(&name, &refused.conditions, &types(refused));
    quote!(#written #types)
}

/// What the expansion asks of the types, as far as it is certain which they are.
fn types(refused: &Refused) -> TokenStream {
    let inputs: Vec<&Input> = inputs(&refused.arguments)
        .filter(|input| refused.method.is_some() || input.options.flatten.is_some())
        .collect();
    let checks = inputs.iter().flat_map(|input| checks(input));
    let defaults = inputs.iter().filter_map(|input| default_function(input));
    let method = refused.method.unwrap_or(Method::Post);
    let described = inputs.iter().map(|input| describe(method, input));
    let needs = refused.arguments.iter().filter_map(need);
    let errors = &refused.errors;
    let output = refused.output.is_certain.then(|| {
        let (ty, answer) = (&refused.output.ty, answer(&refused.output));
        quote!(let _ = |returned: #ty| #answer;)
    });
    let prelude = prelude();
    quote! {{
        #prelude
        #(#checks)*
        #(#defaults)*
        #(let _ = #described;)*
        #(let _ = #needs;)*
        #(let _ = <#errors as __operator::DocumentedError>::PROBLEMS;)*
        #output
    }}
}

/// Which of these traits an endpoint needs depends on its types, which nobody here sees.
fn prelude() -> TokenStream {
    quote! {
        #[allow(unused_imports)]
        use ::operator_runtime::__private::{self as __operator, fallbacks::*};
    }
}

pub(crate) fn endpoint(endpoint: &Endpoint, function: &Function) -> TokenStream {
    let conditions = &endpoint.conditions;
    let [name_mark, path_mark] = &endpoint.marks;
    let prelude = prelude();
    let item = described(endpoint);
    let checks = inputs(&endpoint.arguments).flat_map(checks);
    let defaults = inputs(&endpoint.arguments).filter_map(default_function);
    let body = quote! {{
        #prelude
        #(#checks)*
        #(#defaults)*
        #item
        __operator::submit! { &__ENDPOINT }
    }};
    let endpoint = constant(name_mark, conditions, &body);
    let path = constant(path_mark, conditions, &quote!(()));
    // That the function waits for nothing is no fault of one that has to be async.
    quote! {
        #[allow(clippy::unused_async)]
        #function
        #endpoint
        #path
    }
}

/// A constant whose name clashes with that of another endpoint of the module. It stands where the name or the path does,
/// so that rustc points at both.
fn constant(name: &Ident, conditions: &[syn::Attribute], value: &TokenStream) -> TokenStream {
    // Nobody names it; its name is made of the endpoint's own, and what it holds may name a deprecated function.
    quote_spanned! {name.span()=>
        #(#conditions)*
        #[doc(hidden)]
        #[allow(dead_code, deprecated, non_upper_case_globals)]
        const #name: () = #value;
    }
}

/// The static that describes the endpoint and runs it.
fn described(endpoint: &Endpoint) -> TokenStream {
    let Endpoint {
        name,
        description,
        deprecated,
        path,
        effect,
        output,
        errors,
        ..
    } = endpoint;
    let ident = &endpoint.function;
    let method = match endpoint.method {
        Method::Get => quote!(Get),
        Method::Post => quote!(Post),
    };
    let timeout = match endpoint.timeout_ms {
        None => quote!(__operator::None),
        Some(milliseconds) => quote!(__operator::Some(__operator::milliseconds(#milliseconds))),
    };
    let inputs = inputs(&endpoint.arguments).map(|input| describe(endpoint.method, input));
    let needs = endpoint.arguments.iter().filter_map(need);
    let Output { ty: output, place, .. } = output;
    let schema = at(span::ends(place), "HandlerOutput", "schema");
    let allowed = &endpoint.allowed;
    let run = run(endpoint);
    quote! {
        static __ENDPOINT: __operator::Endpoint = __operator::Endpoint {
            name: #name,
            description: #description,
            deprecated: #deprecated,
            method: __operator::Method::#method,
            path: #path,
            effect: __operator::Effect::#effect,
            timeout: #timeout,
            inputs: &[#(#inputs),*],
            needs: &[#(#needs),*],
            output: || __operator::Returned::<#output>::SPEC.schema(#schema),
            problems: &[|| __operator::Returned::<#output>::SPEC.problems() #(, || <#errors as __operator::DocumentedError>::PROBLEMS)*],
            allowed: &[#(#allowed),*],
            function: __operator::identity(#ident),
            source: __operator::Source::here(::core::module_path!()),
            run: #run,
        };
    }
}

fn inputs(arguments: &[Checked]) -> impl Iterator<Item = &Input> {
    arguments.iter().filter_map(|argument| match argument {
        Checked::Input(input) => Some(&**input),
        Checked::Borrowed { .. } | Checked::Transaction { .. } | Checked::Extracted { .. } => None,
    })
}

/// What `returned` becomes: bytes, or an error. The traits stand where the returned type is written.
fn answer(output: &Output) -> TokenStream {
    let place = span::ends(&output.place);
    let (value, error) = (at(place, "HandlerOutput", "answer"), at(place, "HandlerError", "error"));
    quote!(__operator::Returned(returned).answer(#value, #error))
}

/// What makes JSON of a default or an example, standing where that is written.
fn schema_value(place: (Span, Span)) -> TokenStream {
    at(place, "SchemaValue", "value")
}

/// `__operator::Trait::method`, of a type that rustc infers, said of a place.
fn at((first, last): (Span, Span), which: &str, method: &str) -> TokenStream {
    let word = |word: &str, place| Ident::new(word, place);
    let (operator, which, method) = (word("__operator", first), word(which, last), word(method, last));
    quote_spanned!(last=> #operator::#which::#method)
}

fn describe(method: Method, input: &Input) -> TokenStream {
    let Input {
        name,
        ty,
        description,
        options,
    } = input;
    let kind = kind(method, input);
    let mut described = quote!(<#ty as __operator::#kind>::INPUT.named(#name, #description));
    if !options.constraints.is_empty() {
        let constraints = options.constraints.iter().map(constraint);
        described.extend(quote!(.constraints(&[#(#constraints),*])));
    }
    if !options.allow.is_empty() {
        let allowed = options.allowed();
        described.extend(quote!(.allowed(&[#(#allowed),*])));
    }
    if let Some(default) = default(input) {
        let written = options.default.iter().flatten().next();
        let place = written.map_or_else(|| span::ends(ty), span::ends);
        let value = schema_value(place);
        let default = Ident::new(&default.to_string(), place.0);
        let arguments = quote_spanned!(place.1=> ());
        described.extend(quote!(.default(|| #value(#default #arguments))));
    }
    if let Some(example) = &options.example {
        let value = schema_value(span::ends(example));
        described.extend(quote!(.example(|| #value(#example))));
    }
    described
}

fn kind(method: Method, input: &Input) -> Ident {
    let kind = match (input.options.flatten.is_some(), method) {
        (true, Method::Get) => "FlattenSearch",
        (true, Method::Post) => "FlattenInput",
        (false, Method::Get) => "SearchInput",
        (false, Method::Post) => "JsonInput",
    };
    Ident::new(kind, Span::call_site())
}

/// The runtime's constraint.
pub(super) fn constraint(constraint: &Constraint) -> TokenStream {
    let variant = Ident::new(constraint.variant, Span::call_site());
    let value = match &constraint.value {
        Value::Number(number) => {
            let number = number.as_number();
            quote!((#number))
        }
        Value::Count(count) => quote!((#count)),
        Value::Text(text) => quote!((#text)),
        Value::Nothing => TokenStream::new(),
    };
    quote!(__operator::Constraint::#variant #value)
}

/// The name of the function that makes an input's default. The default is written by the user, who may call a function
/// of any other name in it.
pub(super) fn default(input: &Input) -> Option<Ident> {
    let name = || format_ident!("__operator_default_{}", mangled(&input.name));
    input.options.default.as_ref().map(|_| name())
}

/// A default is written once, in a function, so that rustc speaks of it once.
fn default_function(input: &Input) -> Option<TokenStream> {
    let name = default(input)?;
    let ty = &input.ty;
    let value = match input.options.default.as_ref()? {
        Some(value) => quote!(#value),
        None => quote!(<#ty as ::core::default::Default>::default()),
    };
    let constness = checks::is_held_while_compiling(input).then(|| quote!(const));
    Some(quote!(#constness fn #name() -> #ty { #value }))
}

/// A name on the wire as a part of an identifier.
fn mangled(name: &str) -> String {
    let letter = |letter: char| match letter {
        letter if letter.is_ascii_alphanumeric() => letter.to_string(),
        other => format!("_{:x}_", u32::from(other)),
    };
    name.chars().map(letter).collect()
}

fn need(argument: &Checked) -> Option<TokenStream> {
    match argument {
        Checked::Input(_) => None,
        Checked::Borrowed { name, ty } => Some(quote!(<#ty as __operator::AppState>::NEED.named(#name))),
        Checked::Transaction { name, ty } => Some(quote!(<#ty as __operator::TransactionArgument>::NEED.named(#name))),
        Checked::Extracted { name, ty } => Some(quote!(<#ty as __operator::ExtractedArgument>::NEED.named(#name))),
    }
}

/// Names of our own stand at the macro's span, so that no argument of the user's can be confused with one.
fn run(endpoint: &Endpoint) -> TokenStream {
    let own = |name: &str| Ident::new(name, Span::mixed_site());
    let (call, transaction, inputs) = (own("call"), own("transaction"), own("inputs"));
    let numbered = |what: &str, index: usize| format_ident!("{what}_{index}", span = Span::mixed_site());
    let mut extracted = TokenStream::new();
    let mut passed = Vec::new();
    let mut decoded = Vec::new();
    for (index, argument) in endpoint.arguments.iter().enumerate() {
        passed.push(match argument {
            Checked::Input(input) => {
                let value = numbered("input", index);
                let decode = decode(endpoint.method, input, decoded.len(), &inputs);
                decoded.push((value.clone(), decode));
                quote!(#value)
            }
            Checked::Extracted { ty, .. } => {
                let value = numbered("extracted", index);
                extracted.extend(quote!(let #value = <#ty as __operator::ExtractedArgument>::extracted(#call)?;));
                quote!(#value)
            }
            Checked::Borrowed { ty, .. } => quote!(<#ty as __operator::AppState>::borrowed(#call)?),
            Checked::Transaction { ty, .. } => {
                quote!(<#ty as __operator::TransactionArgument>::borrowed(#transaction)?)
            }
        });
    }
    let values = nested(decoded.iter().map(|(value, _)| quote!(#value)));
    let decodes = nested(decoded.iter().map(|(_, decode)| decode.clone()));
    let ident = &endpoint.function;
    let answer = answer(&endpoint.output);
    // That its future is not `Send` is said of the function; in parentheses it is a value here as in `identity`, so that
    // rustc says once that an associated function is none.
    let handler = quote!(__operator::answering((#ident)(#(#passed),*), |returned| #answer));
    let handler = endpoint
        .arguments
        .iter()
        .fold(handler, |future, argument| match argument {
            Checked::Borrowed { ty, .. } => quote!(__operator::Lent::<#ty>::VALUE.of(#future)),
            Checked::Input(_) | Checked::Transaction { .. } | Checked::Extracted { .. } => future,
        });
    let pinned = quote_spanned!(ident.span()=> __operator::Boxed::pin(#handler));
    quote! {
        |#call, #transaction| {
            #extracted
            let #values = #call.arguments(|#inputs| #decodes)?;
            __operator::Ok(#pinned)
        }
    }
}

fn decode(method: Method, input: &Input, index: usize, inputs: &Ident) -> TokenStream {
    let ty = &input.ty;
    let kind = kind(method, input);
    match default(input) {
        None => quote!(<#ty as __operator::#kind>::decode(#inputs, #index)),
        Some(default) => quote!(<#ty as __operator::#kind>::decode_or(#inputs, #index, #default)),
    }
}

/// `(a, (b, ()))`.
fn nested(items: impl DoubleEndedIterator<Item = TokenStream>) -> TokenStream {
    items.rev().fold(quote!(()), |rest, item| quote!((#item, #rest)))
}
