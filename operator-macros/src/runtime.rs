//! How an expansion reaches the runtime: as `::operator_runtime`, or by the path in the option `crate`.

use std::sync::OnceLock;
use std::{env, fs};

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, ExprPath, Lit, Path};

use crate::error::Errors;
use crate::options::{bare, once};
use crate::span;

/// The option `crate`. Without it, the runtime is `::operator_runtime`.
#[derive(Clone, Default)]
pub(crate) struct Runtime(pub(crate) Option<Path>);

impl Runtime {
    /// Reads the value of the option. It is a string, as serde and schemars write it, or a path, in which a
    /// `macro_rules!` macro can write `$crate`.
    pub(crate) fn take(&mut self, name: &Ident, value: &Expr, errors: &mut Errors) {
        let path = match bare(value) {
            Expr::Path(ExprPath { qself: None, path, .. }) => Some(path.clone()),
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(path) => path.parse_with(Path::parse_mod_style).ok(),
                _ => None,
            },
            _ => None,
        };
        if path.is_none() {
            let write = "write it like `crate = \"my_wrapper::rt\"`";
            errors.at(value, "`crate` must be the path of the runtime", write);
        }
        once(&mut self.0, name, path, "`crate`", errors);
    }

    /// Reports that rustc will not find the runtime.
    pub(crate) fn check(&self, errors: &mut Errors) {
        if self.is_missing() {
            errors.at(
                &TokenStream::new(),
                "`operator_runtime` is not a dependency of this crate",
                "add `operator-runtime` to Cargo.toml, or write the path by which this crate reaches it, like `crate = \"my_wrapper::rt\"`",
            );
        }
    }

    pub(crate) fn is_missing(&self) -> bool {
        static IS_FOUND: OnceLock<bool> = OnceLock::new();
        let is_found = || {
            is_found(
                &env::args_os()
                    .map(|word| word.to_string_lossy().into())
                    .collect::<Vec<_>>(),
            )
        };
        self.0.is_none() && !IS_FOUND.get_or_init(is_found)
    }
}

/// Imports the runtime's items for generated code as `__operator`.
impl ToTokens for Runtime {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(match &self.0 {
            // In two steps, so that rustc's error for a wrong path contains only this path.
            Some(path) => {
                let place = span::ends(path).1;
                quote_spanned!(place=> use #path as __operator_runtime; use __operator_runtime::__private as __operator;)
            }
            None => quote!(use ::operator_runtime::__private as __operator;),
        });
    }
}

/// Whether rustc, which runs this macro, was called with `--extern operator_runtime=…`, or the root of the crate has
/// `extern crate … as operator_runtime`. True if the arguments are not those of rustc, as in an editor, or are in a file.
///
/// The macro has to look for the runtime itself, because rustc's own error for a missing crate cannot name the option
/// `crate`.
fn is_found(arguments: &[String]) -> bool {
    let mut names = arguments.iter().zip(arguments.iter().skip(1));
    let own = names.find(|(option, _)| *option == "--crate-name");
    // rustc's arguments are unknown, or this crate is the runtime itself.
    let is_not_looked_for = own.is_none_or(|(_, name)| name == "operator_runtime");
    is_not_looked_for
        || arguments.iter().any(|argument| {
            let path = argument
                .split_once('=')
                .map_or(argument.as_str(), |(name, rest)| match name {
                    "--extern" => rest.split('=').next().unwrap_or(rest),
                    name => name,
                });
            // Options may be in front of the name: `--extern noprelude:operator_runtime=…`.
            argument.starts_with('@')
                || path.rsplit(':').next() == Some("operator_runtime")
                || is_root_with_alias(argument)
        })
}

fn is_root_with_alias(argument: &str) -> bool {
    let has_alias = |root: String| root.split_whitespace().any(|word| word == "operator_runtime;");
    argument.ends_with(".rs") && fs::read_to_string(argument).is_ok_and(has_alias)
}

#[cfg(test)]
mod tests {
    use super::is_found;

    fn found(line: &str) -> bool {
        is_found(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_runtime_is_found_among_the_dependencies() {
        assert!(found("rustc --crate-name a --extern operator_runtime=/x.rlib"));
        assert!(found(
            "rustc --crate-name a --extern b --extern operator_runtime src/lib.rs"
        ));
        assert!(found("rustc --crate-name a --extern=operator_runtime=/x.rlib"));
        assert!(found(
            "rustc --crate-name a --extern noprelude:operator_runtime=/x.rlib"
        ));
        assert!(found("clippy-driver rustc --crate-name operator_runtime src/lib.rs"));
        assert!(!found("rustc --crate-name a --extern ops=/liboperator_runtime.rlib"));
        assert!(!found("rustc --crate-name a src/lib.rs"));
    }

    #[test]
    fn the_root_of_the_crate_may_give_the_runtime_its_name() {
        let root = std::env::temp_dir().join(format!("operator-macros-{}.rs", std::process::id()));
        std::fs::write(&root, "extern crate ops as operator_runtime;\n").unwrap();
        assert!(found(&format!("rustc --crate-name a {}", root.display())));
        std::fs::write(&root, "extern crate ops;\n").unwrap();
        assert!(!found(&format!("rustc --crate-name a {}", root.display())));
        std::fs::remove_file(root).unwrap();
    }

    #[test]
    fn nothing_is_said_where_the_dependencies_are_unknown() {
        assert!(found("rust-analyzer-proc-macro-srv"));
        assert!(found("rustc --crate-name a @/tmp/arguments"));
    }
}
