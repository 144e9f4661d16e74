//! After a storm: what callers were told, counted against what has taken effect.

use std::collections::HashMap;

use serde_json::Value;
use tests::process::Server;
use tests::proof::Row;

use crate::storm::Storm;

/// How an operation was answered, for good.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Told {
    Done(Value),
    /// That it may have taken effect, and is not run again.
    Unknown,
}

/// Something that has taken effect, as it was written down where it did.
pub(crate) struct Effect {
    /// The key that it was asked for under.
    pub(crate) key: String,
    /// A field of the answer that has to say the same.
    pub(crate) says: Option<(&'static str, i64)>,
}

/// Effects of which nothing is known but their keys.
pub(crate) fn keys(keys: Vec<String>) -> Vec<Effect> {
    keys.into_iter().map(|key| Effect { key, says: None }).collect()
}

/// What the callers were told in the end, by idempotency key; and the servers that are left.
pub(crate) struct Calm {
    pub(crate) told: HashMap<String, Told>,
    pub(crate) servers: Vec<Server>,
    pub(crate) kills: usize,
}

impl Calm {
    /// Adds the row of a storm on transactional operations, whose outcome is always known in the end.
    pub(crate) fn is_transactional(&self, storm: &Storm<'_>, proof: &str, store: &str, effects: &[Effect]) {
        let row = Row {
            proof,
            store,
            tried: &format!("{} kills, {} operations", self.kills, self.told.len()),
            lost: self.lost(storm, effects) + self.unknown(),
            doubled: self.doubled(effects),
        };
        row.record();
    }

    /// Adds the row of a storm on operations that take effect elsewhere.
    pub(crate) fn is_at_most_once(&self, storm: &Storm<'_>, proof: &str, store: &str, effects: &[Effect]) {
        let row = Row {
            proof,
            store,
            tried: &format!(
                "{} kills, {} operations, {} told unknown",
                self.kills,
                self.told.len(),
                self.unknown()
            ),
            lost: self.lost(storm, effects),
            doubled: self.doubled(effects),
        };
        row.record();
    }

    fn unknown(&self) -> usize {
        self.told.values().filter(|told| **told == Told::Unknown).count()
    }

    /// Told as done, and not there as told, or answered otherwise now than then.
    fn lost(&self, storm: &Storm<'_>, effects: &[Effect]) -> usize {
        let effects: HashMap<&str, &Effect> = effects.iter().map(|effect| (effect.key.as_str(), effect)).collect();
        let is_there = |key: &str, answer: &Value| {
            let effect = effects.get(key);
            effect.is_some_and(|effect| effect.says.is_none_or(|(field, says)| answer[field] == says))
        };
        let is_lost = |(key, told): &(&String, &Told)| matches!(told, Told::Done(answer) if !is_there(key, answer));
        let is_contradicted = |(number, (key, told)): &(usize, (&String, &Told))| {
            let server = &self.servers[number % self.servers.len()];
            storm.attempt(server.port, key).as_ref() != Ok(*told)
        };
        self.told.iter().filter(is_lost).count() + self.told.iter().enumerate().filter(is_contradicted).count()
    }

    /// There more often than once, or though no caller was told: none of them has given up.
    fn doubled(&self, effects: &[Effect]) -> usize {
        let mut times: HashMap<&str, usize> = HashMap::new();
        for effect in effects {
            *times.entry(&effect.key).or_default() += 1;
        }
        let is_doubled = |(key, times): &(&&str, &usize)| **times > 1 || !self.told.contains_key(**key);
        times.iter().filter(is_doubled).count()
    }
}
