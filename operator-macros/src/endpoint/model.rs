//! The checked endpoint, from which the expansion is generated.

use proc_macro2::Ident;
use syn::{Attribute as RustAttribute, Type};

use super::constraint::Options;
use super::signature::Output;
use crate::doc::Description;
use crate::runtime::Runtime;

/// An endpoint without mistakes.
pub(crate) struct Endpoint {
    pub(crate) runtime: Runtime,
    pub(crate) function: Ident,
    /// The `cfg` attributes of the function.
    pub(crate) conditions: Vec<RustAttribute>,
    pub(crate) name: String,
    /// The names of two marker items: one for the endpoint's name, one for its path. See [`super::mark`].
    pub(crate) marks: [Ident; 2],
    pub(crate) description: Description,
    pub(crate) deprecated: bool,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) effect: Ident,
    /// The wire names of the inputs that identify an operation; empty without the option `key`.
    pub(crate) key: Vec<String>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) scope: Option<String>,
    /// `None` if the module of the endpoint is its tag.
    pub(crate) tag: Option<String>,
    pub(crate) arguments: Vec<Checked>,
    pub(crate) output: Output,
    pub(crate) errors: Vec<Type>,
    pub(crate) allowed: Vec<String>,
}

/// The parts of an endpoint with mistakes that are still known.
pub(crate) struct Refused {
    pub(crate) runtime: Runtime,
    pub(crate) mistakes: syn::Error,
    pub(crate) function: Ident,
    pub(crate) conditions: Vec<RustAttribute>,
    /// `None` if it is not clear which method is meant.
    pub(crate) method: Option<Method>,
    /// The arguments that no mistake affects. Type errors of these arguments are reported in the same compile.
    pub(crate) arguments: Vec<Checked>,
    pub(crate) output: Output,
    pub(crate) errors: Vec<Type>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

impl Method {
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            "GET" => Some(Self::Get),
            "POST" => Some(Self::Post),
            _ => None,
        }
    }
}

/// One argument of the function.
pub(crate) enum Checked {
    Input(Box<Input>),
    Borrowed { name: String, ty: Type },
    Transaction { name: String, ty: Type },
    Extracted { name: String, ty: Type },
}

pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) description: Description,
    pub(crate) options: Options,
}
