//! Parses lists of named values in settings: `[tenant/]id=secret`. Every kind of list reports all of its problems here.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::secret_text::{self, Part, Words};

/// The largest number of problems reported for one list, because a file of another kind has a problem in every line.
const MOST_PROBLEMS: usize = 20;

/// What every PEM contains.
pub(super) const PEM: &str = "-----BEGIN ";
/// What the PEM of every kind of private key contains.
pub(super) const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// The words for a list of secrets.
pub(super) const SECRETS: Words = Words {
    value: "secret",
    form: "`[tenant/]id=secret`",
    instead_of_pem: "write `[tenant/]id=secret`, with a secret that the caller knows too",
};

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

/// Why secrets cannot be used: one message for each problem. No message shows a secret or a part of one.
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
    let words = Words {
        form: "the secret and nothing else",
        ..SECRETS
    };
    match secret_text::problem(Part::Value(words), text) {
        None => Ok(Secret::new(KeyName::new("default", "default"), text)),
        Some(problem) => Err(SecretsError::new(format!("{place}: {problem}"))),
    }
}

/// Parses a comma-separated list of `[tenant/]id=secret`. Spaces after a comma are ignored. `accept` turns an entry
/// into the value that is kept, given the values of the earlier entries, or says in a sentence what is wrong with the
/// entry.
pub(super) fn parse<T>(
    words: Words,
    place: &str,
    list: &str,
    accept: impl FnMut(Secret, &[T]) -> Result<T, String>,
) -> Result<Vec<T>, SecretsError> {
    refuse_pem(words, place, list)?;
    Reading::new(words, "Entry", place).all(entries(list), accept)
}

/// Parses lines of `[tenant/]id=secret`, as `parse` does. Blank lines and lines that begin with `#` are ignored.
pub(super) fn parse_lines<T>(
    words: Words,
    place: &str,
    lines: &str,
    accept: impl FnMut(Secret, &[T]) -> Result<T, String>,
) -> Result<Vec<T>, SecretsError> {
    refuse_pem(words, place, lines)?;
    Reading::new(words, "Line", place).all(entries_of_lines(lines), accept)
}

/// The entries of a comma-separated list, each with its index.
pub(crate) fn entries(list: &str) -> impl Iterator<Item = (usize, &str)> {
    let entries = without_line_end(list).split(',').enumerate();
    let entries = entries.map(|(index, entry)| match index {
        0 => (index, entry),
        _ => (index, entry.trim_start_matches(' ')),
    });
    entries.filter(|(_, entry)| !entry.is_empty())
}

/// The entries of a list with one entry on each line, each with the index of its line. A comma is a part of the entry.
pub(crate) fn entries_of_lines(lines: &str) -> impl Iterator<Item = (usize, &str)> {
    lines.lines().enumerate().filter(|(_, line)| !is_comment(line))
}

/// Refuses a list that contains a PEM, which would have a problem in each of its lines.
fn refuse_pem(words: Words, place: &str, list: &str) -> Result<(), SecretsError> {
    let what = if list.contains(PRIVATE_KEY) {
        "a private key, which must stay with the caller,"
    } else if list.contains(PEM) {
        "a PEM"
    } else {
        return Ok(());
    };
    let instead = words.instead_of_pem;
    Err(SecretsError::new(format!("There is {what} in {place}: {instead}.")))
}

/// Whether a line is blank or a comment.
fn is_comment(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '\t']);
    line.is_empty() || line.starts_with('#')
}

/// The text without a line end, which files end with and secrets do not.
pub(crate) fn without_line_end(text: &str) -> &str {
    text.strip_suffix("\r\n")
        .or_else(|| text.strip_suffix('\n'))
        .unwrap_or(text)
}

/// A list while it is parsed.
struct Reading<'p, T> {
    words: Words,
    /// What the parts of the list are called: entries or lines.
    unit: &'static str,
    place: &'p str,
    accepted: Vec<T>,
    /// The number of the entry that has each name.
    names: HashMap<KeyName, usize>,
    /// The name of each secret, by the secret's SHA-256. The secret itself is not the key, because the map does not
    /// wipe its memory.
    owners: HashMap<[u8; 32], KeyName>,
    problems: Vec<String>,
}

impl<'p, T> Reading<'p, T> {
    fn new(words: Words, unit: &'static str, place: &'p str) -> Self {
        Self {
            words,
            unit,
            place,
            accepted: Vec::new(),
            names: HashMap::new(),
            owners: HashMap::new(),
            problems: Vec::new(),
        }
    }

    /// Parses all entries, each with its index, until there are too many problems to report.
    fn all<'e>(
        mut self,
        entries: impl Iterator<Item = (usize, &'e str)>,
        mut accept: impl FnMut(Secret, &[T]) -> Result<T, String>,
    ) -> Result<Vec<T>, SecretsError> {
        let (place, Words { value, form, .. }) = (self.place, self.words);
        for (index, entry) in entries {
            if self.problems.len() >= MOST_PROBLEMS {
                self.problems.truncate(MOST_PROBLEMS);
                self.problems.push(format!(
                    "There may be more problems in {place}: the rest of it was not read. Correct these {MOST_PROBLEMS} first."
                ));
                break;
            }
            self.take(index + 1, entry, &mut accept);
        }
        if self.accepted.is_empty() && self.problems.is_empty() {
            self.problems
                .push(format!("There is no {value} in {place}: write {form}."));
        }
        if self.problems.is_empty() {
            Ok(self.accepted)
        } else {
            Err(SecretsError(self.problems))
        }
    }

    fn take(&mut self, number: usize, entry: &str, accept: &mut impl FnMut(Secret, &[T]) -> Result<T, String>) {
        let place = self.place_of(number);
        let Some((name, text)) = entry.split_once('=') else {
            let problem = match entry.strip_prefix('\u{feff}') {
                Some(rest) if is_comment(rest) => {
                    format!(
                        "{place} begins with a byte-order mark: remove it, for example by saving the file in UTF-8 without it."
                    )
                }
                _ => format!("{place} has no `=`: write {}.", self.words.form),
            };
            return self.problems.push(problem);
        };
        let (tenant, id) = name.split_once('/').unwrap_or(("default", name));
        let parts = [(Part::Tenant, tenant), (Part::Id, id), (Part::Value(self.words), text)];
        let problems = parts.map(|(part, text)| secret_text::problem(part, text));
        let problems = problems.into_iter().flatten();
        let before = self.problems.len();
        self.problems
            .extend(problems.map(|problem| format!("{place}: {problem}")));
        if self.problems.len() == before {
            let accepted = self
                .check_names(number, Secret::new(KeyName::new(tenant, id), text))
                .and_then(|secret| accept(secret, &self.accepted).map_err(|problem| format!("{place}: {problem}")));
            match accepted {
                Ok(accepted) => self.accepted.push(accepted),
                Err(problem) => self.problems.push(problem),
            }
        }
    }

    /// Refuses the name or the value of an earlier entry.
    fn check_names(&mut self, number: usize, secret: Secret) -> Result<Secret, String> {
        let (place, value) = (self.place_of(number), self.words.value);
        if let Some(earlier) = self.names.get(&secret.name) {
            return Err(format!(
                "{place} has the same tenant and id as {}, {:?}: give each {value} an id of its own.",
                self.place_of(*earlier),
                secret.name
            ));
        }
        self.names.insert(secret.name.clone(), number);
        let digest = Sha256::digest(secret.text.as_bytes()).into();
        if let Some(owner) = self.owners.get(&digest) {
            return Err(format!(
                "{place}: {:?} has the same {value} as {owner:?}: give each id a {value} of its own, because only the {value} tells the two apart.",
                secret.name
            ));
        }
        self.owners.insert(digest, secret.name.clone());
        Ok(secret)
    }

    /// How messages name an entry.
    fn place_of(&self, number: usize) -> String {
        format!("{} {number} of {}", self.unit, self.place)
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
