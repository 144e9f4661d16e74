//! The model from which every manifest format is written: each endpoint with its schemas, URL and problems.

use std::collections::BTreeMap;

use serde_json::Value;

use super::info::Info;
use super::problems::{self, Problem};
use super::{events, inputs};
use crate::endpoint::Endpoint;
use crate::endpoint::event::EventHandler;
use crate::limit::Limit;
use crate::protocol::public_url::PublicUrl;
use crate::schema::definitions::{self, Inline, Shared};
use crate::schema::names::Names;
use crate::schema::published::{Within, publish};

/// The name of OpenAPI's schema of a problem. No type of the app has this name in a document.
pub(super) const PROBLEM: &str = "Problem";

/// The description of the app.
#[derive(Debug)]
pub(crate) struct Model {
    /// Scheme, host and base path, without a trailing slash.
    pub(crate) public_url: PublicUrl,
    /// What the program says about itself.
    pub(crate) info: Info,
    /// The endpoints, sorted by name, because the linker's order may vary.
    pub(crate) endpoints: Vec<Described>,
    /// The events that the app handles, sorted by type. Only OpenAPI 3.1 and the console show them.
    pub(crate) events: Vec<Described>,
}

/// The description of an endpoint.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) endpoint: &'static Endpoint,
    /// The function's doc comment, and a sentence for each limit.
    pub(crate) description: String,
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
            info: Info::unnamed(),
            endpoints,
            events: Vec::new(),
        }
    }

    /// The model with the events that the app handles, which arrive at this path.
    pub(crate) fn with_events(mut self, handlers: &[&'static EventHandler], path: &str) -> Self {
        let described = handlers
            .iter()
            .map(|handler| events::described(handler, path, &self.public_url));
        self.events = described.collect();
        self
    }

    /// The model of a program that may say something about itself.
    pub(crate) fn with_info(mut self, info: Option<&Info>) -> Self {
        if let Some(info) = info {
            self.info = info.clone();
        }
        self
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
        Self::at(endpoint, public_url.published(endpoint.path))
    }

    /// The description of an endpoint that answers at this URL.
    pub(super) fn at(endpoint: &'static Endpoint, url: String) -> Self {
        Self {
            endpoint,
            description: description(endpoint),
            url,
            inputs: inputs::with_definitions(endpoint),
            outputs: (endpoint.output)().to_value(),
            problems: problems::of(endpoint),
        }
    }

    /// The inputs as a complete schema. A type that is used once is inlined.
    pub(crate) fn own_inputs(&self) -> Value {
        published(self.inputs.clone(), Inline::UsedOnce)
    }

    /// The inputs as a complete schema in which only recursive types have names.
    #[cfg(feature = "cli")]
    pub(crate) fn inlined_inputs(&self) -> Value {
        published(self.inputs.clone(), Inline::NotRecursive)
    }

    /// The outputs as a complete schema. A type that is used once is inlined.
    pub(crate) fn own_outputs(&self) -> Value {
        published(definitions::resolved_root(self.outputs.clone()), Inline::UsedOnce)
    }

    /// The heading of the endpoint: its tag, or else the name of its module.
    pub(crate) fn tag(&self) -> &'static str {
        let endpoint = self.endpoint;
        endpoint.tag.unwrap_or_else(|| endpoint.source.module_name())
    }

    /// The description's first sentence, on one line and without its full stop.
    pub(crate) fn summary(&self) -> String {
        let (summary, _) = self.first_sentence();
        let words: Vec<&str> = summary.split_whitespace().collect();
        words.join(" ").trim_end_matches('.').to_owned()
    }

    /// The description without its first sentence.
    pub(crate) fn details(&self) -> &str {
        self.first_sentence().1
    }

    /// The description's first sentence, and the rest of the description. A paragraph without a full stop is one
    /// sentence.
    fn first_sentence(&self) -> (&str, &str) {
        let description = self.description.trim();
        let mut paragraph = 0;
        for line in description.split_inclusive('\n') {
            if line.trim().is_empty() {
                break;
            }
            paragraph += line.len();
        }
        let is_full_stop = |end: &usize| description[..*end].ends_with('.');
        let end = sentence_ends(&description[..paragraph]).find(is_full_stop);
        let (sentence, rest) = description.split_at(end.unwrap_or(paragraph));
        (sentence, rest.trim_start())
    }
}

/// The description that an agent reads, which says what the limits allow.
fn description(endpoint: &Endpoint) -> String {
    let limits = endpoint.limits.as_ref().map_or(&[][..], |limits| limits.limits);
    let sentences: Vec<String> = limits.iter().map(Limit::sentence).collect();
    let written = endpoint.description;
    if sentences.is_empty() {
        written.to_owned()
    } else {
        format!("{}\n\n{}", written.trim_end(), sentences.join(" "))
    }
}

/// Where the sentences of a text end. A full stop before a lower-case letter belongs to an abbreviation, and one inside a
/// word to a number.
pub(in crate::manifest) fn sentence_ends(text: &str) -> impl Iterator<Item = usize> {
    text.char_indices().filter_map(|(at, letter)| {
        let end = at + letter.len_utf8();
        let rest = &text[end..];
        let next = rest.trim_start();
        let is_end = match letter {
            '。' | '！' | '？' => true,
            '.' | '!' | '?' => next.is_empty() || (next.len() < rest.len() && !next.starts_with(char::is_lowercase)),
            _ => false,
        };
        is_end.then_some(end)
    })
}

/// A complete schema for readers of JSON Schema. A definition is published after it is inlined, so that a description
/// beside a reference and the description of a choice are both kept.
fn published(schema: Value, which: Inline) -> Value {
    let mut schema = definitions::inline(schema, which);
    publish(&mut schema, Within::JsonSchema);
    schema
}
