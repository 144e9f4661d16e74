//! The lints: parts of a description that mislead an agent, each with its place and a better form.

use std::fmt;

pub(crate) use self::readers::For;
use super::model::{Described, Model};
use crate::input::Input;

mod iso;
mod limits;
mod names;
mod readers;
mod schemas;
mod words;

/// How important a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// The description could be better.
    Note,
    /// An agent will sometimes do the wrong thing.
    Warning,
}

/// One lint: its name for `#[operator(allow(…))]`, and how important its findings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lint {
    pub(crate) name: &'static str,
    pub(crate) level: Level,
}

const fn warning(name: &'static str) -> Lint {
    Lint {
        name,
        level: Level::Warning,
    }
}

const fn note(name: &'static str) -> Lint {
    Lint {
        name,
        level: Level::Note,
    }
}

const SHORT_DESCRIPTION: Lint = warning("short_description");
const REPEATED_NAME: Lint = warning("repeated_name");
const NO_OCCASION: Lint = warning("no_occasion");
const UNDESCRIBED_INPUT: Lint = warning("undescribed_input");
const UNDESCRIBED_OUTPUT: Lint = warning("undescribed_output");
const RAW_CODE: Lint = warning("raw_code");
const TIME_WITHOUT_ZONE: Lint = warning("time_without_zone");
const SIMILAR_NAMES: Lint = warning("similar_names");
const UNLIMITED_AMOUNT: Lint = warning("unlimited_amount");
const RESOURCE_NAME: Lint = note("resource_name");
const UNFIT_FOR_READER: Lint = warning("unfit_for_reader");
const TOO_MANY_ENDPOINTS: Lint = note("too_many_endpoints");

/// One part of a description that should be improved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) lint: Lint,
    /// File and line of the endpoint; `None` if the finding concerns the whole app.
    pub(crate) source: Option<String>,
    /// The endpoint or a part of it: `refund_order`, `refund_order: input reason`.
    pub(crate) place: String,
    /// What is wrong, as a sentence without a full stop.
    pub(crate) what: String,
    /// What to write instead, as a sentence.
    pub(crate) better: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.lint.level {
            Level::Note => "note",
            Level::Warning => "warning",
        };
        write!(formatter, "{level}[{}]: {}: {}", self.lint.name, self.place, self.what)?;
        if let Some(source) = &self.source {
            write!(formatter, "\n  at {source}")?;
        }
        write!(formatter, "\n  better: {}\n", self.better)
    }
}

/// Every finding that is not turned off by an `allow`, endpoint by endpoint, and then those for one reader.
pub(crate) fn findings(model: &Model, reader: Option<For>) -> Result<Vec<Finding>, serde_json::Error> {
    let mut found = Vec::new();
    for described in &model.endpoints {
        let mut report = Report {
            described,
            found: &mut found,
        };
        words::of_endpoint(&mut report);
        schemas::of_endpoint(&mut report);
        names::of_endpoint(&mut report);
        limits::of_endpoint(&mut report);
    }
    names::of_all(model, &mut found);
    if let Some(reader) = reader {
        readers::of_all(model, reader, &mut found)?;
    }
    Ok(found)
}

/// Findings about one endpoint.
struct Report<'m> {
    described: &'m Described,
    found: &'m mut Vec<Finding>,
}

impl Report<'_> {
    /// Adds a finding about the endpoint as a whole.
    fn endpoint(&mut self, lint: Lint, what: impl Into<String>, better: impl Into<String>) {
        self.add(lint, "", None, what.into(), better.into());
    }

    /// Adds a finding about an input or a part of an input. `path` begins with the input's name.
    fn input(&mut self, lint: Lint, path: &str, what: impl Into<String>, better: impl Into<String>) {
        let name = path.split(['.', '[']).next().unwrap_or(path);
        self.add(lint, &format!(": input {path}"), Some(name), what.into(), better.into());
    }

    /// Adds a finding about a part of the answer.
    fn output(&mut self, lint: Lint, path: &str, what: impl Into<String>, better: impl Into<String>) {
        self.add(lint, &format!(": output {path}"), None, what.into(), better.into());
    }

    fn add(&mut self, lint: Lint, part: &str, input: Option<&str>, what: String, better: String) {
        let endpoint = self.described.endpoint;
        let of_input = input.and_then(|name| endpoint.inputs.iter().find(|one| is_of(one, name)));
        let allowed = |allowed: &[&str]| allowed.contains(&lint.name);
        if allowed(endpoint.allowed) || of_input.is_some_and(|input| allowed(input.allowed)) {
            return;
        }
        let finding = Finding {
            lint,
            source: Some(endpoint.source.to_string()),
            place: format!("{}{part}", endpoint.name),
            what,
            better,
        };
        // Several variants of a value may have the same field; one finding about the field is enough. A reader may refuse
        // several things about one field.
        let is_same = |other: &Finding| {
            let is_about_same = lint != UNFIT_FOR_READER || other.what == finding.what;
            other.lint == lint && other.place == finding.place && is_about_same
        };
        if part.is_empty() || !self.found.iter().any(is_same) {
            self.found.push(finding);
        }
    }
}

/// Whether an input has this name, or is a flattened struct with a field of this name.
fn is_of(input: &Input, name: &str) -> bool {
    if input.flatten.is_none() {
        return input.name == name;
    }
    input.own_property()["properties"].get(name).is_some()
}

#[cfg(test)]
pub(super) mod tests;
