//! After a storm: compares the answers that callers got with the effects that took place.

use std::collections::HashMap;

use serde_json::Value;
use tests::process::Server;
use tests::proof::Row;

use crate::storm::Storm;

/// The final answer to an operation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Told {
    Done(Value),
    /// The handler, or a limit, has refused the operation.
    Refused(Value),
    /// The operation may have taken effect and does not run again.
    Unknown,
}

/// An effect, as it was recorded where it took place.
pub(crate) struct Effect {
    /// The idempotency key of the call.
    pub(crate) key: String,
    /// A field of the answer that must have the same value.
    pub(crate) says: Option<(&'static str, i64)>,
}

/// Effects of which only the keys are known.
pub(crate) fn keys(keys: Vec<String>) -> Vec<Effect> {
    keys.into_iter().map(|key| Effect { key, says: None }).collect()
}

/// The callers' final answers by idempotency key, and the servers that are left.
pub(crate) struct Calm {
    pub(crate) told: HashMap<String, Told>,
    pub(crate) servers: Vec<Server>,
    /// What has been done to the servers, such as "12 kills".
    pub(crate) harm: String,
}

impl Calm {
    /// Adds the row of a storm on transactional operations, whose outcome is always known at the end.
    pub(crate) fn is_transactional(&self, storm: &Storm<'_>, proof: &str, store: &str, effects: &[Effect]) {
        let row = Row {
            proof,
            store,
            tried: &format!("{}, {} operations", self.harm, self.told.len()),
            lost: self.lost(storm, effects) + self.unknown() + self.refused(),
            doubled: self.doubled(effects),
        };
        row.record();
    }

    /// Adds the row of a storm on operations whose effects are in another system.
    pub(crate) fn is_at_most_once(&self, storm: &Storm<'_>, proof: &str, store: &str, effects: &[Effect]) {
        let row = Row {
            proof,
            store,
            tried: &format!(
                "{}, {} operations, {} told unknown",
                self.harm,
                self.told.len(),
                self.unknown()
            ),
            lost: self.lost(storm, effects) + self.refused(),
            doubled: self.doubled(effects),
        };
        row.record();
    }

    /// Adds the row of a storm on one limited value, of which some operations are refused.
    pub(crate) fn is_limited(&self, storm: &Storm<'_>, proof: &str, store: &str, effects: &[Effect]) {
        let tried = format!(
            "{}, {} callers, {} operations, {} refused, {} told unknown",
            self.harm,
            storm.callers,
            self.told.len(),
            self.refused(),
            self.unknown()
        );
        let of_refused = |effect: &&Effect| matches!(self.told.get(&effect.key), Some(Told::Refused(_)));
        let row = Row {
            proof,
            store,
            tried: &tried,
            lost: self.lost(storm, effects),
            doubled: self.doubled(effects) + effects.iter().filter(of_refused).count(),
        };
        row.record();
    }

    fn refused(&self) -> usize {
        let is_refused = |told: &&Told| matches!(told, Told::Refused(_));
        self.told.values().filter(is_refused).count()
    }

    fn unknown(&self) -> usize {
        self.told.values().filter(|told| **told == Told::Unknown).count()
    }

    /// Answers that say "done" without such an effect, or that differ from an earlier answer.
    fn lost(&self, storm: &Storm<'_>, effects: &[Effect]) -> usize {
        let effects: HashMap<&str, &Effect> = effects.iter().map(|effect| (effect.key.as_str(), effect)).collect();
        let is_there = |key: &str, answer: &Value| {
            let effect = effects.get(key);
            effect.is_some_and(|effect| effect.says.is_none_or(|(field, says)| answer[field] == says))
        };
        let is_lost = |(key, told): &(&String, &Told)| matches!(told, Told::Done(answer) if !is_there(key, answer));
        let is_contradicted = |(number, (key, told)): &(usize, (&String, &Told))| {
            let server = &self.servers[number % self.servers.len()];
            // An answer that is not final contradicts nothing.
            let mut tries = (0..10).map(|_| storm.attempt(server.port, key).map_err(std::thread::sleep));
            tries.find_map(Result::ok).as_ref() != Some(*told)
        };
        self.told.iter().filter(is_lost).count() + self.told.iter().enumerate().filter(is_contradicted).count()
    }

    /// Effects that took place more than once, or that no caller was told of, although no caller has given up.
    fn doubled(&self, effects: &[Effect]) -> usize {
        let mut times: HashMap<&str, usize> = HashMap::new();
        for effect in effects {
            *times.entry(&effect.key).or_default() += 1;
        }
        let is_doubled = |(key, times): &(&&str, &usize)| **times > 1 || !self.told.contains_key(**key);
        times.iter().filter(is_doubled).count()
    }
}
