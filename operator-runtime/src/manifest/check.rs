//! Compares a manifest file with the current endpoints: which changes break callers, and which callers they break.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::contract::{Contract, Place, Promised};
use super::difference::{Difference, Direction, Kind, differences};
use super::narrowing::Narrowing;
use crate::idempotency::effect::Effect;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The callers that the change breaks, as the end of "this breaks callers that …"; `None` if it breaks no caller.
    pub(crate) breaks: Option<String>,
    /// What changed, as a sentence without a full stop.
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

/// Every change; the changes that break callers come first.
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
        // A new endpoint with the same method and URL is the old endpoint with a new name.
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
                let what = format!("`{}` was removed", old.name);
                found.push(Change::breaking(what, format!("call {called}")));
            }
        }
    }
    found.extend(new.iter().map(|one| Change::harmless(format!("`{}` is new", one.name))));
    compare_events(&before.events, &now.events, &mut found);
    found.extend(before.types.difference(&now.types).map(|name| {
        let what = format!("the type `{name}` was removed");
        Change::breaking(what, "generate code from the document and use this type")
    }));
    found.sort_by_key(|change| change.breaks.is_none());
    found
}

fn compare_events(before: &[Promised], now: &[Promised], found: &mut Vec<Change>) {
    let named = |among: &'_ [Promised], name: &str| among.iter().position(|one| one.name == name);
    for old in before {
        match named(now, &old.name) {
            Some(index) => compare(old, &now[index], found),
            None => {
                let what = format!("the event `{}` is no longer handled", old.name);
                found.push(Change::breaking(what, format!("send `{}`", old.name)));
            }
        }
    }
    let new = now.iter().filter(|new| named(before, &new.name).is_none());
    found.extend(new.map(|new| Change::harmless(format!("the event `{}` is now handled", new.name))));
}

fn compare(old: &Promised, new: &Promised, found: &mut Vec<Change>) {
    let name = &new.name;
    if let (Some(old), Some(new)) = (&old.place, &new.place) {
        compare_places(name, old, new, found);
    }
    if old.description != new.description {
        found.push(Change::harmless(format!("`{name}` has a different description")));
    }
    compare_inputs(name, &old.inputs, &new.inputs, found);
    compare_outputs(name, &old.outputs, &new.outputs, found);
    let is_weaker = compare_effects(old, new, found);
    // The hints follow from the effect, so one change is told once.
    if !is_weaker {
        compare_hints(old, new, found);
    }
    compare_keys(old, new, found);
    compare_statuses(old, new, found);
    compare_problems(old, new, found);
}

fn compare_places(name: &str, old: &Place, new: &Place, found: &mut Vec<Change>) {
    if old.method != new.method {
        let what = format!("`{name}` is now a {}; it was a {}", new.method, old.method);
        found.push(Change::breaking(what, format!("send a {}", old.method)));
    }
    if old.url != new.url {
        let what = format!("`{name}` is now at {}", new.url);
        found.push(Change::breaking(what, format!("call and sign {}", old.url)));
    }
}

/// Compares the effects, if both documents name them, and returns whether the new one is weaker.
fn compare_effects(old: &Promised, new: &Promised, found: &mut Vec<Change>) -> bool {
    let effect = |promised: &Promised| promised.guarantees.effect();
    let (Some(before), Some(after)) = (effect(old), effect(new)) else {
        return false;
    };
    let what = format!(
        "`{}` is now {}; it was {}",
        new.name,
        after.in_words(),
        before.in_words()
    );
    let is_weaker = strength(after) < strength(before);
    if is_weaker {
        found.push(Change::breaking(what, relying_on(before)));
    } else if before != after {
        found.push(Change::harmless(what));
    }
    is_weaker
}

/// Orders the effects: an endpoint may change to a greater effect without breaking callers.
fn strength(effect: Effect) -> u8 {
    match effect {
        Effect::Rerunnable => 0,
        Effect::AtMostOnce => 1,
        Effect::Transactional => 2,
        Effect::ReadOnly => 3,
    }
}

/// The callers that rely on an effect.
fn relying_on(effect: Effect) -> &'static str {
    match effect {
        Effect::Rerunnable => "call it again when they do not know whether it ran",
        Effect::AtMostOnce => "rely on one call having at most one effect",
        Effect::Transactional => "rely on one call having exactly one effect",
        Effect::ReadOnly => "call it without asking a person, because it changed nothing",
    }
}

/// Compares the inputs that identify an operation. If these inputs change, different calls count as one operation.
fn compare_keys(old: &Promised, new: &Promised, found: &mut Vec<Change>) {
    let name = &new.name;
    let listed = |key: &BTreeSet<String>| {
        let names: Vec<String> = key.iter().map(|input| format!("`{input}`")).collect();
        names.join(", ")
    };
    let (before, after) = (&old.guarantees.key, &new.guarantees.key);
    let callers = "send no idempotency key";
    match (before, after) {
        (Some(before), Some(after)) if before != after => {
            let (before, after) = (listed(before), listed(after));
            let what = format!("`{name}` now has the key {after}; it was {before}");
            found.push(Change::breaking(what, callers));
        }
        (Some(before), None) => {
            let what = format!("`{name}` no longer has the key {}", listed(before));
            found.push(Change::breaking(what, callers));
        }
        (None, Some(after)) => {
            let what = format!(
                "`{name}` now has the key {}, for callers without an idempotency key",
                listed(after)
            );
            found.push(Change::harmless(what));
        }
        (None, None) | (Some(_), Some(_)) => {}
    }
}

/// Compares the statuses of the problems that both sides document.
fn compare_statuses(old: &Promised, new: &Promised, found: &mut Vec<Change>) {
    let list = |statuses: &mut dyn Iterator<Item = &u16>| {
        let all: Vec<String> = statuses.map(u16::to_string).collect();
        all.join(", ")
    };
    for (slug, before) in &old.guarantees.problems {
        let Some(after) = new.guarantees.problems.get(slug) else {
            continue;
        };
        let lost = list(&mut before.difference(after));
        if !lost.is_empty() {
            let now = list(&mut after.iter());
            let what = format!(
                "`{}` now answers `{slug}` with status {now} instead of {lost}",
                new.name
            );
            found.push(Change::breaking(what, format!("expect {lost}")));
        }
    }
}

/// Compares the hints of an MCP tool. A client may call a tool without asking a person because of a hint, so removing
/// the hint breaks that client.
fn compare_hints(old: &Promised, new: &Promised, found: &mut Vec<Change>) {
    let name = &new.name;
    let lost = |hint: &str| old.hints.get(hint) == Some(&true) && new.hints.get(hint) != Some(&true);
    let before = found.len();
    if lost("readOnlyHint") {
        let what = format!("`{name}` is no longer read-only (readOnlyHint)");
        found.push(Change::breaking(what, "call it without asking a person"));
    }
    if lost("idempotentHint") {
        let what = format!("`{name}` now takes effect again with each call (idempotentHint)");
        found.push(Change::breaking(what, "repeat a call whose answer was lost"));
    }
    let is_told = found.len() > before || old.guarantees.effect != new.guarantees.effect;
    if !is_told && old.hints != new.hints {
        found.push(Change::harmless(format!("`{name}` has different hints")));
    }
}

fn compare_problems(old: &Promised, new: &Promised, found: &mut Vec<Change>) {
    let name = &new.name;
    let statuses = |promised: &Promised| promised.problems.keys().cloned().collect::<BTreeSet<_>>();
    for status in statuses(old).union(&statuses(new)) {
        let what = match (old.problems.get(status), new.problems.get(status)) {
            (None, _) => format!("`{name}` may now also answer with a {status}"),
            (_, None) => format!("`{name}` no longer answers with a {status}"),
            (before, after) if before != after => format!("`{name}` describes its {status} differently"),
            _ => continue,
        };
        found.push(Change::harmless(what));
    }
}

fn compare_inputs(name: &str, old: &Value, new: &Value, found: &mut Vec<Change>) {
    let differences = differences(Direction::Input, "", (old, old), (new, new));
    let before = found.len();
    found.extend(differences.iter().map(|difference| input_change(name, difference)));
    // If an input changed in any other way, its description changed or it accepts more values.
    for (input, was) in old["properties"].as_object().into_iter().flatten() {
        let is_told = differences.iter().any(|difference| difference.is_of(input));
        if !is_told && new["properties"].get(input).is_some_and(|is| is != was) {
            found.push(Change::harmless(format!(
                "`{name}` describes `{input}` differently, or accepts more values for `{input}`"
            )));
        }
    }
    if found.len() == before && old != new {
        found.push(Change::harmless(format!("`{name}` describes its inputs differently")));
    }
}

fn input_change(name: &str, Difference { path, kind }: &Difference) -> Change {
    let shown = shown(path, "its inputs");
    match kind {
        Kind::Narrower(Narrowing { what, values }) => Change::breaking(
            format!("`{name}` now accepts fewer values for {shown} ({what})"),
            format!("send {values} for {shown}"),
        ),
        Kind::Needed { is_known: true } => {
            Change::breaking(format!("`{name}` now needs {shown}"), format!("leave {shown} out"))
        }
        Kind::Needed { is_known: false } => {
            Change::breaking(format!("`{name}` now needs {shown}"), format!("do not know of {shown}"))
        }
        Kind::Gone => Change::breaking(format!("`{name}` no longer accepts {shown}"), format!("send {shown}")),
        Kind::Renamed { to } => Change::breaking(
            format!("`{name}` now accepts {shown} under the name `{to}`"),
            format!("send {shown}"),
        ),
        Kind::Added => Change::harmless(format!("`{name}` now also accepts {shown}, which is optional")),
    }
}

fn compare_outputs(name: &str, old: &Value, new: &Value, found: &mut Vec<Change>) {
    // The document of one reader may leave out the answers, which says nothing about them.
    if old.is_null() || new.is_null() {
        return;
    }
    let differences = differences(Direction::Output, "", (new, new), (old, old));
    if differences.is_empty() && old != new {
        found.push(Change::harmless(format!("`{name}` describes its answer differently")));
    }
    found.extend(differences.iter().map(|difference| output_change(name, difference)));
}

fn output_change(name: &str, Difference { path, kind }: &Difference) -> Change {
    let shown = shown(path, "its answer");
    match kind {
        Kind::Narrower(Narrowing { values, .. }) if path.is_empty() => {
            Change::breaking(format!("`{name}` may now answer with {values}"), "do not expect that")
        }
        Kind::Narrower(Narrowing { values, .. }) => Change::breaking(
            format!("`{name}` may now answer with {values} for {shown}"),
            format!("do not expect {values} there"),
        ),
        Kind::Needed { .. } => Change::breaking(
            format!("`{name}` may now leave {shown} out of its answer"),
            format!("always expect {shown}"),
        ),
        Kind::Gone | Kind::Renamed { .. } => Change::breaking(
            format!("`{name}` no longer answers with {shown}"),
            format!("read {shown}"),
        ),
        Kind::Added => Change::harmless(format!("`{name}` now also answers with {shown}")),
    }
}

fn shown(path: &str, whole: &str) -> String {
    if path.is_empty() {
        whole.to_owned()
    } else {
        format!("`{path}`")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests;
