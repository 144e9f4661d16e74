//! The one model that every format is a shape of: each endpoint with its schemas, its URL and its problems.

use std::collections::BTreeMap;

use serde_json::Value;

use super::definitions::{self, Inline};
use super::problems::{self, Problem};
use super::schema;
use crate::endpoint::Endpoint;

/// What is told of the app.
#[derive(Debug)]
pub(crate) struct Model {
    /// Scheme, host and base path, without a slash at the end.
    pub(crate) public_url: String,
    /// By name, so that the order of linking never shows.
    pub(crate) endpoints: Vec<Described>,
}

/// What is told of an endpoint.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) endpoint: &'static Endpoint,
    pub(crate) url: String,
    /// An object, with every named type as a definition.
    pub(crate) inputs: Value,
    /// Any schema, with every named type as a definition.
    pub(crate) outputs: Value,
    pub(crate) problems: BTreeMap<u16, Vec<Problem>>,
}

impl Model {
    pub(crate) fn new(endpoints: &[&'static Endpoint], public_url: &str) -> Self {
        let public_url = public_url.trim_end_matches('/').to_owned();
        let mut endpoints: Vec<Described> = endpoints
            .iter()
            .map(|endpoint| Described::new(endpoint, &public_url))
            .collect();
        endpoints.sort_by_key(|described| described.endpoint.name);
        Self { public_url, endpoints }
    }
}

impl Described {
    pub(crate) fn new(endpoint: &'static Endpoint, public_url: &str) -> Self {
        Self {
            endpoint,
            url: format!("{public_url}{}", endpoint.path),
            inputs: schema::with_definitions(endpoint),
            outputs: (endpoint.output)().to_value(),
            problems: problems::of(endpoint),
        }
    }

    /// The inputs by themselves: what is used once stands in its place.
    pub(crate) fn own_inputs(&self) -> Value {
        definitions::inline(self.inputs.clone(), Inline::UsedOnce)
    }

    /// The outputs by themselves.
    pub(crate) fn own_outputs(&self) -> Value {
        definitions::inline(definitions::resolved_root(self.outputs.clone()), Inline::UsedOnce)
    }

    /// The description's first line, without its full stop.
    pub(crate) fn summary(&self) -> &'static str {
        let first = self.endpoint.description.lines().next().unwrap_or_default();
        first.trim_end_matches('.')
    }
}
