//! Generates the diagram in the module's documentation from the rules, and compares the two.

use std::collections::BTreeMap;

use super::settling::settled;
use super::*;

const RECORDED: [(Effect, &str); 3] = [
    (Effect::AtMostOnce, "at most once"),
    (Effect::Rerunnable, "rerunnable"),
    (Effect::Transactional, "transactional"),
];

/// The arrows of the diagram. The key is (from state, to state, cause); the value lists the effects with this arrow.
type Edges = BTreeMap<(&'static str, &'static str, String), Vec<&'static str>>;

fn name(state: &State) -> &'static str {
    match state {
        State::InProgress => "InProgress",
        State::Released => "Released",
        State::Completed(_) => "Completed",
        State::NotKept => "NotKept",
        State::Unknown => "Unknown",
    }
}

/// What a request with the same fingerprint may do.
fn add_claims(edges: &mut Edges) {
    for (effect, shown) in RECORDED {
        for state in states() {
            let times = [
                ("within the lease", ages(1, 1)),
                ("lease expired", ages(100, 100)),
                ("record expired", ages(3_600, 3_600)),
            ];
            for (time, ages) in times {
                let (to, what) = match ask(state.clone(), ages, effect) {
                    Decision::Claim(_, FirstSeen::Reset) => ("[*]", "the record expires".to_owned()),
                    Decision::Claim(_, FirstSeen::Keep) if state == State::InProgress => {
                        ("InProgress", format!("retry, {time}: next attempt runs"))
                    }
                    Decision::Claim(_, FirstSeen::Keep) => ("InProgress", "retry: next attempt runs".to_owned()),
                    Decision::GiveUp(record) => (name(&record.state), format!("retry, {time}")),
                    Decision::Tell(Recorded::StillRunning) => (name(&state), format!("retry, {time}: waits")),
                    Decision::Tell(_) => (name(&state), "retry: same answer".to_owned()),
                };
                let effects = edges.entry((name(&state), to, what)).or_default();
                if !effects.contains(&shown) {
                    effects.push(shown);
                }
            }
        }
    }
}

/// How an attempt ends.
fn add_ends(edges: &mut Edges) {
    let settings = Settings::default();
    let ends = [
        ("2xx, 3xx", finished(200, false, 1)),
        ("4xx", finished(404, false, 1)),
        ("408, 425, 429", finished(429, false, 1)),
        ("retryable", finished(503, true, 1)),
        ("5xx", finished(500, false, 1)),
        ("too long to keep", finished(200, false, settings.response_limit + 1)),
        ("panic", HandlerOutcome::Panicked),
        ("time limit", HandlerOutcome::TimedOut),
        ("unknown to the handler", HandlerOutcome::Unknown),
    ];
    for (what, outcome) in ends {
        for (effect, shown) in RECORDED {
            let to = if effect == Effect::Transactional {
                match finish_transaction(outcome.clone(), &settings).0 {
                    AfterTransaction::Completed(_) | AfterTransaction::Refused(_) => "Completed",
                    AfterTransaction::RolledBack => "[*]",
                }
            } else {
                name(&finish(outcome.clone(), effect, &settings).0)
            };
            edges
                .entry(("InProgress", to, what.to_owned()))
                .or_default()
                .push(shown);
        }
    }
}

/// How a person settles an operation.
fn add_settlements(edges: &mut Edges) {
    for (effect, shown) in RECORDED {
        for state in states() {
            for (what, finding) in [
                ("a person: it was done", Finding::Done(response())),
                ("a person: it was not done", Finding::NotDone),
            ] {
                if let Ok(record) = settled(state.clone(), ages(100, 100), effect, &finding) {
                    edges
                        .entry((name(&state), name(&record.state), what.to_owned()))
                        .or_default()
                        .push(shown);
                }
            }
        }
    }
}

fn drawn() -> String {
    let mut edges = Edges::new();
    add_claims(&mut edges);
    add_ends(&mut edges);
    add_settlements(&mut edges);
    let mut lines = vec![
        "stateDiagram-v2".to_owned(),
        "    [*] --> InProgress: first call".to_owned(),
    ];
    let mut arrows: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for ((from, to, what), effects) in edges {
        let shown = if effects.len() == RECORDED.len() {
            what
        } else {
            format!("{what} ({})", effects.join(", "))
        };
        arrows.entry((from, to)).or_default().push(shown);
    }
    lines.extend(
        arrows
            .into_iter()
            .map(|((from, to), what)| format!("    {from} --> {to}: {}", what.join(" · "))),
    );
    lines.into_iter().map(|line| format!("//! {line}\n")).collect()
}

#[test]
fn the_documentation_shows_these_rules() {
    let drawn = drawn();
    assert!(
        include_str!("../../machine.rs").contains(&drawn),
        "the rules have changed: replace the diagram in the module's documentation with this one\n{drawn}"
    );
}
