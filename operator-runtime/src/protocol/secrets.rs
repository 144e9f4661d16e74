//! Parses lists of named secrets in settings: `[tenant/]id=secret`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::secret_text::{self, Part};

/// The largest number of problems reported for one list, because a file of another kind has a problem in every line.
const MOST_PROBLEMS: usize = 20;

/// A secret and its name.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(super) name: KeyName,
    pub(super) text: Zeroizing<String>,
}

/// The name of a key: its tenant and its id. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct KeyName(Arc<(String, String)>);

impl KeyName {
    pub(super) fn new(tenant: &str, id: &str) -> Self {
        Self(Arc::new((tenant.to_owned(), id.to_owned())))
    }

    pub(crate) fn tenant(&self) -> &str {
        &self.0.0
    }

    pub(crate) fn id(&self) -> &str {
        &self.0.1
    }
}

/// Why secrets cannot be used: one sentence for each problem. No sentence shows a secret or a part of one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SecretsError(Vec<String>);

impl SecretsError {
    pub(crate) fn new(problem: String) -> Self {
        Self(vec![problem])
    }

    pub(crate) fn into_problems(self) -> Vec<String> {
        self.0
    }
}

impl fmt::Display for SecretsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("\n"))
    }
}

/// A single secret, taken literally except for one line end after it. `place` says in messages where it was written.
pub(super) fn single(place: &str, secret: &str) -> Result<Secret, SecretsError> {
    let text = without_line_end(secret);
    match secret_text::problem(Part::Secret, text) {
        None => Ok(Secret::new(KeyName::new("default", "default"), text)),
        Some(problem) => Err(SecretsError::new(format!("{place}: {problem}"))),
    }
}

/// Parses a comma-separated list of `[tenant/]id=secret`. Spaces after a comma are ignored.
pub(super) fn parse(place: &str, list: &str) -> Result<Vec<Secret>, SecretsError> {
    let entries = without_line_end(list).split(',').enumerate();
    let entries = entries.map(|(index, entry)| match index {
        0 => entry,
        _ => entry.trim_start_matches(' '),
    });
    let mut reading = Reading::default();
    for (index, entry) in entries.enumerate().filter(|(_, entry)| !entry.is_empty()) {
        reading.take(&format!("Entry {} of {place}", index + 1), entry);
    }
    reading.finish(place)
}

/// Parses lines of `[tenant/]id=secret`. Blank lines and lines that begin with `#` are ignored.
pub(super) fn parse_lines(place: &str, lines: &str) -> Result<Vec<Secret>, SecretsError> {
    let means_nothing = |line: &str| {
        let line = line.trim_start_matches([' ', '\t']);
        line.is_empty() || line.starts_with('#')
    };
    let mut reading = Reading::default();
    for (index, line) in lines.lines().enumerate().filter(|(_, line)| !means_nothing(line)) {
        reading.take(&format!("Line {} of {place}", index + 1), line);
    }
    reading.finish(place)
}

/// The text without a line end, which files end with and secrets do not.
pub(crate) fn without_line_end(text: &str) -> &str {
    text.strip_suffix("\r\n")
        .or_else(|| text.strip_suffix('\n'))
        .unwrap_or(text)
}

/// A list while it is parsed.
#[derive(Default)]
struct Reading {
    secrets: Vec<Secret>,
    /// The place of each name.
    names: HashMap<KeyName, String>,
    /// The name of each secret. By SHA-256, because the map does not wipe its memory.
    owners: HashMap<[u8; 32], KeyName>,
    problems: Vec<String>,
    /// The number of problems that are not reported.
    more: usize,
}

impl Reading {
    fn take(&mut self, place: &str, entry: &str) {
        let Some((name, text)) = entry.split_once('=') else {
            return self.report(format!("{place} has no `=`: write `[tenant/]id=secret`."));
        };
        let (tenant, id) = name.split_once('/').unwrap_or(("default", name));
        let parts = [(Part::Tenant, tenant), (Part::Id, id), (Part::Secret, text)];
        let mut is_right = true;
        for (part, text) in parts {
            if let Some(problem) = secret_text::problem(part, text) {
                self.report(format!("{place}: {problem}"));
                is_right = false;
            }
        }
        if is_right {
            self.add(place, Secret::new(KeyName::new(tenant, id), text));
        }
    }

    fn add(&mut self, place: &str, secret: Secret) {
        if let Some(earlier) = self.names.get(&secret.name) {
            let problem = format!(
                "{place} has the same tenant and id as {earlier}, {:?}: give each secret an id of its own.",
                secret.name
            );
            return self.report(problem);
        }
        self.names.insert(secret.name.clone(), place.to_owned());
        let digest = Sha256::digest(secret.text.as_bytes()).into();
        if let Some(owner) = self.owners.get(&digest) {
            let problem = format!(
                "{place}: {:?} has the same secret as {owner:?}: give each id a secret of its own, because only the secret tells the two apart.",
                secret.name
            );
            return self.report(problem);
        }
        self.owners.insert(digest, secret.name.clone());
        self.secrets.push(secret);
    }

    fn report(&mut self, problem: String) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(problem);
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self, place: &str) -> Result<Vec<Secret>, SecretsError> {
        if self.more > 0 {
            self.problems
                .push(format!("There are {} more problems in {place}.", self.more));
        }
        if self.secrets.is_empty() && self.problems.is_empty() {
            self.problems
                .push(format!("There is no secret in {place}: write `[tenant/]id=secret`."));
        }
        if self.problems.is_empty() {
            Ok(self.secrets)
        } else {
            Err(SecretsError(self.problems))
        }
    }
}

impl Secret {
    fn new(name: KeyName, text: &str) -> Self {
        Self {
            name,
            text: Zeroizing::new(text.to_owned()),
        }
    }

    /// Whether the secret is short enough to be guessed.
    pub(super) fn is_weak(&self) -> bool {
        self.text.len() < 16
    }
}

/// Shows the name of the secret, never the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(formatter)
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.tenant(), self.id())
    }
}

#[cfg(test)]
mod tests;
