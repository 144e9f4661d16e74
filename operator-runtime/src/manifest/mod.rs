//! The manifest, which describes the endpoints to the agent. It is derived only from the registered endpoints.

#[cfg(feature = "cli")]
pub(crate) mod check;
#[cfg(feature = "cli")]
pub(crate) mod contract;
#[cfg(feature = "cli")]
mod difference;
mod discriminator;
pub(crate) mod events;
mod guarantees;
pub(crate) mod info;
pub(crate) mod inputs;
#[cfg(feature = "cli")]
pub(crate) mod lint;
pub(crate) mod mcp;
pub(crate) mod model;
#[cfg(feature = "cli")]
mod narrowing;
pub(crate) mod openapi;
mod openapi_3_0;
pub(crate) mod operator;
pub(crate) mod problems;
#[cfg(feature = "cli")]
pub(crate) mod readers;
mod security;
pub(crate) mod served;

use serde::Serialize;

use self::mcp::Tools;
use self::model::Model;
use self::openapi::Dialect;
use self::operator::Manifest;

/// The format of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The agent's own format: name, description, url, method, inputs, outputs.
    Operator,
    /// OpenAPI 3.1.
    OpenApi,
    /// OpenAPI 3.0, for tools that do not support 3.1.
    OpenApi30,
    /// A list of tools of the Model Context Protocol.
    Mcp,
}

impl Format {
    /// Every format.
    pub(crate) const ALL: [Self; 4] = [Self::Operator, Self::OpenApi, Self::OpenApi30, Self::Mcp];

    /// The format's name on the command line and in the query of the served manifest.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::OpenApi => "openapi",
            Self::OpenApi30 => "openapi-3.0",
            Self::Mcp => "mcp",
        }
    }

    /// The format with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Writes the document. Equal endpoints give equal bytes.
    pub(crate) fn write(self, model: &Model) -> Result<String, serde_json::Error> {
        match self {
            Self::Operator => to_text(&Manifest::from(model)),
            Self::OpenApi => to_text(&openapi::document(model, Dialect::V3_1)),
            Self::OpenApi30 => to_text(&openapi::document(model, Dialect::V3_0)),
            Self::Mcp => to_text(&Tools::from(model)),
        }
    }
}

fn to_text(document: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(document)?;
    text.push('\n');
    Ok(text)
}
