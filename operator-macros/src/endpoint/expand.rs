//! Expands a checked endpoint into a static that describes and runs it. After mistakes, returns the function as
//! written.
//!
//! rustc reports type errors at the user's own tokens. Each type is written as `<T as Trait>`, so rustc points at `T`
//! and adds no note about the bounds of a function that the user never called. If a type is written twice, rustc still
//! reports it once, because rustc does not repeat an identical error.
//!
//! Names in the user's module must not change the meaning of the expansion. So each path is complete, each method that
//! is not called by its path has a name that begins with `__operator`, and so has each variable: a pattern `call` would
//! match a constant `call`. `tests/ui/hygiene.rs` shadows every name in the expansions of `tests/sample.rs`.

mod limits;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::{FnArg, Path, Type};

use super::assertions::{assertions, is_const_default, is_described};
use super::check::UNDESCRIBED;
use super::model::{Checked, Endpoint, Input, Method, Refused, Role};
use super::signature::{Output, is_ours};
use super::tokens::{constraint, default_name};
use crate::doc;
use crate::function::Function;
use crate::runtime::Runtime;
use crate::span;

/// The function without the attributes that only the macro reads. The body is unchanged.
pub(crate) fn cleaned(mut function: Function) -> Function {
    // A variadic argument is removed, because the macro has already reported it, and rustc would add that variadic
    // functions are unstable.
    function.signature.variadic = None;
    for argument in &mut function.signature.inputs {
        if let FnArg::Typed(argument) = argument {
            // A `cfg_attr` is already reported. It may hide an attribute that only the macro reads.
            let is_own = |name: &Path| name.is_ident("operator") || name.is_ident("cfg_attr");
            argument
                .attrs
                .retain(|attribute| !is_own(attribute.path()) && !doc::is_doc(attribute));
        }
    }
    function
        .attributes
        .retain(|attribute| !is_ours(attribute) && !attribute.path().is_ident("operator"));
    function
}

/// Every mistake, and the item as written, so that other code that uses the item still compiles.
pub(crate) fn mistakes(mistakes: &syn::Error, item: &impl quote::ToTokens) -> TokenStream {
    let mistakes = mistakes.to_compile_error();
    // Without an endpoint nothing uses the function, so rustc would report the function, and the items that only it
    // uses, as dead code.
    quote!(#[allow(dead_code)] #item #mistakes)
}

/// The output of [`mistakes`], and the type errors of the arguments and of the return type, so that one compile reports
/// all of them.
pub(crate) fn refused(refused: &Refused, function: &Function) -> TokenStream {
    let written = mistakes(&refused.mistakes, function);
    if refused.runtime.is_missing() {
        return written;
    }
    let name = Ident::new(
        &format!("endpoint_types_of_{}", refused.function.unraw()),
        Span::call_site(),
    );
    let types = constant(&name, &refused.conditions, &types(refused));
    quote!(#written #types)
}

/// The trait bounds of the types that no mistake affects.
fn types(refused: &Refused) -> TokenStream {
    let inputs: Vec<&Input> = inputs(&refused.arguments)
        .filter(|input| refused.method.is_some() || input.options.flatten.is_some())
        .collect();
    let assertions = inputs.iter().flat_map(|input| assertions(input));
    let defaults = inputs.iter().filter_map(|input| default_function(input));
    let method = refused.method.unwrap_or(Method::Post);
    let described = inputs.iter().map(|input| describe(method, input));
    let needs = refused.arguments.iter().filter_map(need);
    let errors = &refused.errors;
    let output = refused.output.is_certain.then(|| {
        let (ty, answer) = (&refused.output.ty, answer(&refused.output, refused.role));
        quote!(let _ = |__operator_returned: #ty| #answer;)
    });
    let prelude = prelude(&refused.runtime);
    quote! {{
        #prelude
        #(#assertions)*
        #(#defaults)*
        #(let _ = #described;)*
        #(let _ = #needs;)*
        #(let _ = <#errors as __operator::DocumentedError>::PROBLEMS;)*
        #output
    }}
}

/// The imports of the expansion. Some may be unused: the macro does not know the types, so it does not know which
/// fallback traits an endpoint needs.
fn prelude(runtime: &Runtime) -> TokenStream {
    quote! {
        #[allow(unused_imports)]
        #runtime
        #[allow(unused_imports)]
        use __operator::fallbacks::*;
    }
}

pub(crate) fn endpoint(endpoint: &Endpoint, function: &Function) -> TokenStream {
    let conditions = &endpoint.conditions;
    let (own_mark, further_mark) = &endpoint.marks;
    let prelude = prelude(&endpoint.runtime);
    let item = described(endpoint);
    let is_described = match endpoint.role {
        Role::Endpoint => is_described(&endpoint.description, UNDESCRIBED),
        Role::Event { .. } => None,
    };
    let assertions = is_described
        .into_iter()
        .chain(inputs(&endpoint.arguments).flat_map(assertions));
    let defaults = inputs(&endpoint.arguments).filter_map(default_function);
    let body = quote! {{
        #prelude
        #(#assertions)*
        #(#defaults)*
        #item
        __operator::submit! { &__OPERATOR_ENDPOINT }
    }};
    let endpoint = constant(own_mark, conditions, &body);
    let further = further_mark
        .as_ref()
        .map(|mark| constant(mark, conditions, &quote!(())));
    // An endpoint function must be async even if it awaits nothing, and its arguments are what a caller can send.
    quote! {
        #[allow(clippy::too_many_arguments, clippy::unused_async)]
        #function
        #endpoint
        #further
    }
}

/// A constant whose name clashes with that of another endpoint of the module that has the same name or path. The
/// constant has the span of the endpoint's name or path, so rustc points at both endpoints.
fn constant(name: &Ident, conditions: &[syn::Attribute], value: &TokenStream) -> TokenStream {
    // `deprecated` is allowed, because the constant's value may call a deprecated function.
    quote_spanned! {name.span()=>
        #(#conditions)*
        #[doc(hidden)]
        #[allow(dead_code, deprecated, non_upper_case_globals)]
        const #name: () = #value;
    }
}

/// The static that describes and runs the endpoint or the event handler.
fn described(endpoint: &Endpoint) -> TokenStream {
    let described = described_endpoint(endpoint);
    if endpoint.role == Role::Endpoint {
        return quote!(static __OPERATOR_ENDPOINT: __operator::Endpoint = #described;);
    }
    let name = endpoint.function.unraw().to_string();
    let payload = payload(endpoint).map_or_else(|| quote!(__operator::IgnoredAny), |ty| quote!(#ty));
    quote! {
        static __OPERATOR_ENDPOINT: __operator::EventHandler = __operator::EventHandler {
            name: #name,
            endpoint: #described,
            decode: <#payload as __operator::EventPayload>::check,
        };
    }
}

/// The type of the payload, if the function takes it.
fn payload(endpoint: &Endpoint) -> Option<&Type> {
    endpoint.arguments.iter().find_map(|argument| match argument {
        Checked::Payload { ty } => Some(ty),
        _ => None,
    })
}

fn described_endpoint(endpoint: &Endpoint) -> TokenStream {
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
    let text = |text: &Option<String>| match text {
        None => quote!(__operator::None),
        Some(text) => quote!(__operator::Some(#text)),
    };
    let (scope, tag) = (text(&endpoint.scope), text(&endpoint.tag));
    let (key, limits) = (key(endpoint), limits::limits(endpoint));
    let inputs = match endpoint.role {
        Role::Endpoint => {
            let inputs = inputs(&endpoint.arguments).map(|input| describe(endpoint.method, input));
            quote!(&[#(#inputs),*])
        }
        Role::Event { fields, .. } => {
            let fields = Ident::new(fields, Span::call_site());
            quote!(&__operator::event_fields::#fields)
        }
    };
    let needs = endpoint.arguments.iter().filter_map(need);
    let Output { ty: output, place, .. } = output;
    let schema = at(span::ends(place), endpoint.role.output(), "schema");
    let allowed = &endpoint.allowed;
    let run = run(endpoint);
    quote! {
        __operator::Endpoint {
            name: #name,
            description: #description,
            deprecated: #deprecated,
            method: __operator::Method::#method,
            path: #path,
            effect: __operator::Effect::#effect,
            key: #key,
            limits: #limits,
            timeout: #timeout,
            scope: #scope,
            tag: #tag,
            inputs: #inputs,
            needs: &[#(#needs),*],
            output: || __operator::Returned::<#output>::SPEC.__operator_schema(#schema),
            problems: &[|| __operator::Returned::<#output>::SPEC.__operator_problems() #(, || <#errors as __operator::DocumentedError>::PROBLEMS)*],
            allowed: &[#(#allowed),*],
            function: __operator::identity(#ident),
            source: __operator::Source::here(::core::module_path!()),
            run: #run,
        }
    }
}

fn inputs(arguments: &[Checked]) -> impl Iterator<Item = &Input> {
    arguments.iter().filter_map(|argument| match argument {
        Checked::Input(input) => Some(&**input),
        Checked::Borrowed { .. }
        | Checked::Transaction { .. }
        | Checked::Extracted { .. }
        | Checked::Payload { .. } => None,
    })
}

/// Converts the returned value to bytes or to an error. The traits have the span of the return type, so rustc reports
/// there.
fn answer(output: &Output, role: Role) -> TokenStream {
    let place = span::ends(&output.place);
    let (value, error) = (at(place, role.output(), "answer"), at(place, "HandlerError", "error"));
    quote!(__operator::Returned(__operator_returned).__operator_answer(#value, #error))
}

/// The function that converts a default or an example to JSON. It has the span of that value, so rustc reports there.
fn schema_value(place: (Span, Span)) -> TokenStream {
    at(place, "SchemaValue", "value")
}

/// `__operator::Trait::method`, with the spans at which rustc should report errors about the inferred type.
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
    let mut described = quote!(__operator::Input::named(<#ty as __operator::#kind>::INPUT, #name, #description));
    if !options.constraints.is_empty() {
        let constraints = options.constraints.iter().map(constraint);
        described = quote!(__operator::Input::constraints(#described, &[#(#constraints),*]));
    }
    if options.lenient.is_some() {
        described = quote!(__operator::Input::lenient(#described));
    }
    if options.secret.is_some() {
        described = quote!(__operator::Input::secret(#described));
    }
    if !options.allow.is_empty() {
        let allowed = options.allowed();
        described = quote!(__operator::Input::allowed(#described, &[#(#allowed),*]));
    }
    if let Some(default) = default_name(input) {
        let written = options.default.iter().flatten().next();
        let place = written.map_or_else(|| span::ends(ty), span::ends);
        let value = schema_value(place);
        let default = Ident::new(&default.to_string(), place.0);
        let arguments = quote_spanned!(place.1=> ());
        described = quote!(__operator::Input::default(#described, || #value(#default #arguments)));
    }
    if let Some(example) = &options.example {
        let value = schema_value(span::ends(example));
        described = quote!(__operator::Input::example(#described, || #value(#example)));
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

/// The default is expanded once, into a function, so that rustc reports the errors in it only once.
fn default_function(input: &Input) -> Option<TokenStream> {
    let name = default_name(input)?;
    let ty = &input.ty;
    let value = match input.options.default.as_ref()? {
        Some(value) => quote!(#value),
        None => quote!(<#ty as ::core::default::Default>::default()),
    };
    let constness = is_const_default(input).then(|| quote!(const));
    Some(quote!(#constness fn #name() -> #ty { #value }))
}

fn need(argument: &Checked) -> Option<TokenStream> {
    let (name, need) = match argument {
        Checked::Input(_) | Checked::Payload { .. } => return None,
        Checked::Borrowed { name, ty } => (name, quote!(<#ty as __operator::AppState>)),
        Checked::Transaction { name, ty } => (name, quote!(<#ty as __operator::TransactionArgument>)),
        Checked::Extracted { name, ty } => (name, quote!(<#ty as __operator::ExtractedArgument>)),
    };
    Some(quote!(__operator::Need::named(#need::NEED, #name)))
}

/// The inputs that identify an operation, and how to decode all inputs before the operation is claimed.
fn key(endpoint: &Endpoint) -> TokenStream {
    let names = &endpoint.key;
    if names.is_empty() {
        return quote!(__operator::None);
    }
    let decodes = decodes(endpoint);
    quote! {
        __operator::Some(__operator::InputKey {
            inputs: &[#(#names),*],
            decode: |__operator_call| __operator::Invocation::decodes(__operator_call, |__operator_inputs| #decodes),
        })
    }
}

/// The expression that decodes every input.
fn decodes(endpoint: &Endpoint) -> TokenStream {
    let decodes: Vec<_> = inputs(&endpoint.arguments)
        .enumerate()
        .map(|(index, input)| decode(endpoint.method, input, index))
        .collect();
    nested(&decodes)
}

/// The function that runs the endpoint.
fn run(endpoint: &Endpoint) -> TokenStream {
    let mut taken = TokenStream::new();
    let mut passed = Vec::new();
    let mut values = Vec::new();
    for (index, argument) in endpoint.arguments.iter().enumerate() {
        passed.push(match argument {
            Checked::Input(_) => {
                let value = format_ident!("__operator_input_{index}");
                values.push(quote!(#value));
                quote!(#value)
            }
            Checked::Extracted { ty, .. } => {
                let value = format_ident!("__operator_extracted_{index}");
                taken.extend(quote!(let #value = <#ty as __operator::ExtractedArgument>::extracted(__operator_call)?;));
                quote!(#value)
            }
            Checked::Borrowed { ty, .. } => quote!(<#ty as __operator::AppState>::borrowed(__operator_call)?),
            Checked::Transaction { ty, .. } => {
                quote!(<#ty as __operator::TransactionArgument>::borrowed(__operator_transaction)?)
            }
            Checked::Payload { ty } => {
                taken.extend(
                    quote!(let __operator_payload = <#ty as __operator::EventPayload>::decode(__operator_call)?;),
                );
                quote!(__operator_payload)
            }
        });
    }
    if endpoint.role == Role::Endpoint {
        let (values, decodes) = (nested(&values), decodes(endpoint));
        taken.extend(
            quote!(let #values = __operator::Invocation::arguments(__operator_call, |__operator_inputs| #decodes)?;),
        );
    }
    let ident = &endpoint.function;
    let answer = answer(&endpoint.output, endpoint.role);
    // In parentheses the function is a value, as it is in `identity(…)`. If rustc cannot find the function, the two
    // errors are then identical, and rustc prints only one.
    let handler = quote!(__operator::answering((#ident)(#(#passed),*), |__operator_returned| #answer));
    let handler = endpoint
        .arguments
        .iter()
        .fold(handler, |future, argument| match argument {
            Checked::Borrowed { ty, .. } => quote!(__operator::Lent::<#ty>::VALUE.__operator_of(#future)),
            Checked::Input(_) | Checked::Transaction { .. } | Checked::Extracted { .. } | Checked::Payload { .. } => {
                future
            }
        });
    let pinned = quote_spanned!(ident.span()=> __operator::Boxed::pin(#handler));
    quote! {
        |__operator_call, __operator_transaction| {
            #taken
            __operator::Ok(#pinned)
        }
    }
}

fn decode(method: Method, input: &Input, index: usize) -> TokenStream {
    let ty = &input.ty;
    let kind = kind(method, input);
    match default_name(input) {
        None => quote!(<#ty as __operator::#kind>::decode(__operator_inputs, #index)),
        Some(default) => quote!(<#ty as __operator::#kind>::decode_or(__operator_inputs, #index, #default)),
    }
}

/// Pairs of pairs, in the shape of a balanced tree: the depth of a type is limited, and each input would add a level to a
/// list of pairs.
fn nested(items: &[TokenStream]) -> TokenStream {
    match items {
        [] => quote!(()),
        [item] => item.clone(),
        items => {
            let (first, rest) = items.split_at(items.len() / 2);
            let (first, rest) = (nested(first), nested(rest));
            quote!((#first, #rest))
        }
    }
}
