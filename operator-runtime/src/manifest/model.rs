//! The model from which every manifest format is written: each endpoint with its schemas, URL and problems.

use std::collections::BTreeMap;

use serde_json::Value;

use super::inputs;
use super::problems::{self, Problem};
use crate::endpoint::Endpoint;
use crate::protocol::public_url::PublicUrl;
use crate::schema::definitions::{self, Inline, Shared};
use crate::schema::names::Names;
use crate::schema::published::{Readers, publish};

/// The name of OpenAPI's schema of a problem. No type of the app has this name in a document.
pub(super) const PROBLEM: &str = "Problem";

/// The description of the app.
#[derive(Debug)]
pub(crate) struct Model {
    /// Scheme, host and base path, without a trailing slash.
    pub(crate) public_url: PublicUrl,
    /// The endpoints, sorted by name, because the linker's order may vary.
    pub(crate) endpoints: Vec<Described>,
}

/// The description of an endpoint.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) endpoint: &'static Endpoint,
    pub(crate) url: String,
    /// The schema of the inputs as one object, with every named type as a definition.
    pub(crate) inputs: Value,
    /// The schema of the output, with every named type as a definition.
    pub(crate) outputs: Value,
    pub(crate) problems: BTreeMap<u16, Vec<Problem>>,
}

impl Model {
    pub(crate) fn new(endpoints: &[&'static Endpoint], public_url: &PublicUrl) -> Self {
        let mut endpoints: Vec<Described> = endpoints
            .iter()
            .map(|endpoint| Described::new(endpoint, public_url))
            .collect();
        endpoints.sort_by_key(|described| described.endpoint.name);
        name_types(&mut endpoints);
        Self {
            public_url: public_url.clone(),
            endpoints,
        }
    }
}

/// Gives every type one short name in all documents. A type whose output differs from its input has two schemas.
fn name_types(endpoints: &mut [Described]) {
    let paths = endpoints
        .iter()
        .flat_map(|one| [&one.inputs, &one.outputs])
        .flat_map(definitions::names_of);
    let mut shared = Shared::named(Names::of(paths, &[PROBLEM]));
    for one in endpoints.iter_mut() {
        shared.hoist(&mut one.inputs, "");
    }
    for one in endpoints.iter_mut() {
        shared.hoist(&mut one.outputs, "Output");
    }
    for one in endpoints {
        shared.give_back(&mut one.inputs);
        shared.give_back(&mut one.outputs);
    }
}

impl Described {
    fn new(endpoint: &'static Endpoint, public_url: &PublicUrl) -> Self {
        Self {
            endpoint,
            url: public_url.published(endpoint.path),
            inputs: inputs::with_definitions(endpoint),
            outputs: (endpoint.output)().to_value(),
            problems: problems::of(endpoint),
        }
    }

    /// The inputs as a complete schema. A type that is used once is inlined.
    pub(crate) fn own_inputs(&self) -> Value {
        published(self.inputs.clone())
    }

    /// The outputs as a complete schema. A type that is used once is inlined.
    pub(crate) fn own_outputs(&self) -> Value {
        published(definitions::resolved_root(self.outputs.clone()))
    }

    /// The description's first sentence, on one line and without its full stop.
    pub(crate) fn summary(&self) -> String {
        let first_paragraph = self
            .endpoint
            .description
            .lines()
            .take_while(|line| !line.trim().is_empty());
        let words: Vec<&str> = first_paragraph.flat_map(str::split_whitespace).collect();
        let begins = |word: &&str| !word.starts_with(char::is_lowercase);
        // A full stop before a lower-case letter belongs to an abbreviation.
        let is_last = |index: usize| words[index].ends_with('.') && words.get(index + 1).is_none_or(begins);
        let length = (0..words.len())
            .find(|index| is_last(*index))
            .map_or(words.len(), |last| last + 1);
        words[..length].join(" ").trim_end_matches('.').to_owned()
    }
}

/// A complete schema for readers of JSON Schema. A definition is published after it is inlined, so that a description
/// beside a reference and the description of a choice are both kept.
fn published(schema: Value) -> Value {
    let mut schema = definitions::inline(schema, Inline::UsedOnce);
    publish(&mut schema, Readers::JsonSchema);
    schema
}
