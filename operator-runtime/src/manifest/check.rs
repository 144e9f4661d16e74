//! Whether a manifest on file is stale, and which changes break callers that read it, and which callers.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::contract::{Contract, Place, Promised};
use super::narrowing::{Narrowing, narrowings, own, resolve};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Who would be broken, as the end of "it breaks callers that …"; nobody where it is `None`.
    pub(crate) breaks: Option<String>,
    /// What changed, as a sentence without its full stop.
    pub(crate) what: String,
}

impl Change {
    fn harmless(what: String) -> Self {
        Self { breaks: None, what }
    }

    fn breaking(what: String, callers: impl Into<String>) -> Self {
        Self {
            breaks: Some(callers.into()),
            what,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.breaks {
            Some(callers) => write!(formatter, "{}: this breaks callers that {callers}", self.what),
            None => formatter.write_str(&self.what),
        }
    }
}

/// Every difference, those that break callers first.
pub(crate) fn changes(before: &Contract, now: &Contract) -> Vec<Change> {
    let mut found = Vec::new();
    let mut new: Vec<&Promised> = now.endpoints.iter().collect();
    let mut gone = Vec::new();
    for old in &before.endpoints {
        match new.iter().position(|one| one.name == old.name) {
            Some(index) => compare(old, new.remove(index), &mut found),
            None => gone.push(old),
        }
    }
    for old in gone {
        // An endpoint that answers the same method at the same URL is the old one by another name.
        match new.iter().position(|one| one.place.is_some() && one.place == old.place) {
            Some(index) => {
                let renamed = new.remove(index);
                let what = format!("`{}` is now named `{}`", old.name, renamed.name);
                found.push(Change::breaking(what, format!("know it as `{}`", old.name)));
                compare(old, renamed, &mut found);
            }
            None => {
                let called = old
                    .place
                    .as_ref()
                    .map_or_else(|| format!("`{}`", old.name), Place::to_string);
                let what = format!("`{}` is gone", old.name);
                found.push(Change::breaking(what, format!("call {called}")));
            }
        }
    }
    found.extend(new.iter().map(|one| Change::harmless(format!("`{}` is new", one.name))));
    found.extend(before.types.difference(&now.types).map(|name| {
        let what = format!("there is no type named `{name}`");
        Change::breaking(what, "name it in code that was made from the document")
    }));
    found.sort_by_key(|change| change.breaks.is_none());
    found
}

fn compare(old: &Promised, new: &Promised, found: &mut Vec<Change>) {
    let name = &new.name;
    if let (Some(old), Some(new)) = (&old.place, &new.place) {
        compare_places(name, old, new, found);
    }
    if old.description != new.description {
        found.push(Change::harmless(format!("`{name}` has another description")));
    }
    compare_inputs(name, &old.inputs, &new.inputs, found);
    compare_outputs(name, &old.outputs, &new.outputs, found);
    compare_hints(old, new, found);
    compare_problems(old, new, found);
}

fn compare_places(name: &str, old: &Place, new: &Place, found: &mut Vec<Change>) {
    if old.method != new.method {
        let what = format!("`{name}` is now a {}, and was a {}", new.method, old.method);
        found.push(Change::breaking(what, format!("send a {}", old.method)));
    }
    if old.url != new.url {
        let what = format!("`{name}` is now at {}", new.url);
        found.push(Change::breaking(what, format!("call and sign over {}", old.url)));
    }
}

/// What a client does by itself because of a hint, it must no longer do once the hint is gone.
fn compare_hints(old: &Promised, new: &Promised, found: &mut Vec<Change>) {
    let name = &new.name;
    let lost = |hint: &str| old.hints.get(hint) == Some(&true) && new.hints.get(hint) != Some(&true);
    let before = found.len();
    if lost("readOnlyHint") {
        let what = format!("`{name}` changes something now (readOnlyHint)");
        found.push(Change::breaking(what, "call it without asking a person"));
    }
    if lost("idempotentHint") {
        let what = format!("`{name}` has a new effect with each call now (idempotentHint)");
        found.push(Change::breaking(what, "call it again where an answer was lost"));
    }
    if found.len() == before && old.hints != new.hints {
        found.push(Change::harmless(format!("`{name}` has other hints")));
    }
}

fn compare_problems(old: &Promised, new: &Promised, found: &mut Vec<Change>) {
    let name = &new.name;
    let statuses = |promised: &Promised| promised.problems.keys().cloned().collect::<BTreeSet<_>>();
    for status in statuses(old).union(&statuses(new)) {
        let what = match (old.problems.get(status), new.problems.get(status)) {
            (None, _) => format!("`{name}` may answer with a {status} too"),
            (_, None) => format!("`{name}` no longer answers with a {status}"),
            (before, after) if before != after => format!("`{name}` describes its {status} differently"),
            _ => continue,
        };
        found.push(Change::harmless(what));
    }
}

fn compare_inputs(name: &str, old: &Value, new: &Value, found: &mut Vec<Change>) {
    let before = found.len();
    for input in fields(old).union(&fields(new)) {
        let required = is_required(new, input);
        match (old["properties"].get(input), new["properties"].get(input)) {
            (Some(_), None) => found.push(Change::breaking(
                format!("`{name}` no longer takes `{input}`"),
                format!("send `{input}`"),
            )),
            (None, Some(_)) if required => found.push(Change::breaking(
                format!("`{name}` now needs `{input}`"),
                format!("do not know of `{input}`"),
            )),
            (None, Some(_)) => found.push(Change::harmless(format!(
                "`{name}` takes `{input}`, which may be left out"
            ))),
            (Some(before), Some(after)) => {
                if required && !is_required(old, input) {
                    found.push(Change::breaking(
                        format!("`{name}` now needs `{input}`"),
                        format!("leave `{input}` out"),
                    ));
                }
                compare_input(name, input, (before, old), (after, new), found);
            }
            (None, None) => {}
        }
    }
    if found.len() == before && old != new {
        found.push(Change::harmless(format!("`{name}` describes its inputs differently")));
    }
}

/// Each schema with the one that its references are in.
fn compare_input(name: &str, input: &str, old: (&Value, &Value), new: (&Value, &Value), found: &mut Vec<Change>) {
    let narrowed = narrowings(input, old, new);
    if narrowed.is_empty() && old.0 != new.0 {
        found.push(Change::harmless(format!(
            "`{name}` describes `{input}` differently, or takes more for it"
        )));
    }
    for Narrowing { path, what, values } in narrowed {
        found.push(Change::breaking(
            format!("`{name}` takes less for `{path}` ({what})"),
            format!("send {values} for `{path}`"),
        ));
    }
}

/// What is an answer to one side is an input to the other: an answer may take less room, and no more.
fn compare_outputs(name: &str, old: &Value, new: &Value, found: &mut Vec<Change>) {
    let before = found.len();
    compare_output(name, "", (old, old), (new, new), 0, found);
    if found.len() == before && old != new {
        found.push(Change::harmless(format!("`{name}` describes its answer differently")));
    }
}

/// How deep a recursive answer is followed.
const DEPTH: usize = 16;

fn compare_output(
    name: &str,
    path: &str,
    (old, old_root): (&Value, &Value),
    (new, new_root): (&Value, &Value),
    depth: usize,
    found: &mut Vec<Change>,
) {
    let (old, new) = (&resolve(old, old_root), &resolve(new, new_root));
    if depth == DEPTH || old == new && old_root == new_root {
        return;
    }
    let shown = if path.is_empty() {
        "its answer".to_owned()
    } else {
        format!("`{path}`")
    };
    let mut wider = Vec::new();
    own(path, (new, new_root), (old, old_root), &mut wider);
    for Narrowing { what, values, .. } in wider {
        let what = format!("`{name}` answers with more kinds of value for {shown} (no longer {what})");
        found.push(Change::breaking(what, format!("do not expect {values} for {shown}")));
    }
    if let (Some(before), Some(after)) = (old.get("items"), new.get("items")) {
        compare_output(
            name,
            &format!("{path}[]"),
            (before, old_root),
            (after, new_root),
            depth + 1,
            found,
        );
    }
    compare_fields(name, path, (old, old_root), (new, new_root), depth, found);
}

fn compare_fields(
    name: &str,
    path: &str,
    (old, old_root): (&Value, &Value),
    (new, new_root): (&Value, &Value),
    depth: usize,
    found: &mut Vec<Change>,
) {
    for field in fields(old).union(&fields(new)) {
        let path = if path.is_empty() {
            field.clone()
        } else {
            format!("{path}.{field}")
        };
        match (old["properties"].get(field), new["properties"].get(field)) {
            (Some(_), None) => found.push(Change::breaking(
                format!("`{name}` no longer answers with `{path}`"),
                format!("read `{path}`"),
            )),
            (None, Some(_)) => found.push(Change::harmless(format!("`{name}` answers with `{path}` too"))),
            (Some(before), Some(after)) => {
                if is_required(old, field) && !is_required(new, field) {
                    found.push(Change::breaking(
                        format!("`{name}` may leave `{path}` out of its answer"),
                        format!("expect `{path}` always"),
                    ));
                }
                compare_output(name, &path, (before, old_root), (after, new_root), depth + 1, found);
            }
            (None, None) => {}
        }
    }
}

fn fields(schema: &Value) -> BTreeSet<String> {
    let properties = schema["properties"].as_object();
    properties.into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

fn is_required(schema: &Value, field: &str) -> bool {
    let required = schema["required"].as_array();
    required.is_some_and(|required| required.iter().any(|one| one == field))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test: what cannot be unwrapped fails it")]
mod tests;
