//! The checked endpoint, from which the expansion is generated.

use std::fmt;

use proc_macro2::Ident;
use syn::{Attribute as RustAttribute, Type};

use super::constraint::Options;
use super::limit::Limit;
use super::signature::Output;
use crate::doc::Description;
use crate::runtime::Runtime;

/// What the function is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Endpoint,
    /// The events of a type; `fields` is the runtime's description of their fields.
    Event {
        is_setup: bool,
        fields: &'static str,
    },
}

impl Role {
    pub(crate) fn is_event(self) -> bool {
        self != Self::Endpoint
    }

    /// An argument that the caller sends.
    pub(crate) fn owned(self) -> &'static str {
        if self.is_event() { "a payload" } else { "an input" }
    }

    /// The trait of the returned value.
    pub(crate) fn output(self) -> &'static str {
        match self {
            Self::Endpoint => "HandlerOutput",
            Self::Event { is_setup: true, .. } => "ContextOutput",
            Self::Event { is_setup: false, .. } => "EventOutput",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.is_event() {
            "an event handler"
        } else {
            "an endpoint"
        })
    }
}

/// An endpoint or an event handler without mistakes.
pub(crate) struct Endpoint {
    pub(crate) role: Role,
    pub(crate) runtime: Runtime,
    pub(crate) function: Ident,
    /// The `cfg` attributes of the function.
    pub(crate) conditions: Vec<RustAttribute>,
    pub(crate) name: String,
    /// The name of the item that contains the endpoint, and that of a further marker item. See [`super::mark`].
    pub(crate) marks: (Ident, Option<Ident>),
    pub(crate) description: Description,
    pub(crate) deprecated: bool,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) effect: Ident,
    /// The wire names of the inputs that identify an operation; empty without the option `key`.
    pub(crate) key: Vec<String>,
    pub(crate) limits: Vec<Limit>,
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
    pub(crate) role: Role,
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
    Payload { ty: Type },
}

pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) description: Description,
    pub(crate) options: Options,
}
