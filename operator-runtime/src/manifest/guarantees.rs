//! What callers rely on in addition to an endpoint's schemas: its effect, its key, and the status of each of its
//! problems. Every format contains it, so that `manifest --check` finds a guarantee that became weaker.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::model::Described;
use super::problems;
use crate::endpoint::InputKey;
#[cfg(feature = "cli")]
use crate::idempotency::effect::Effect;

/// The guarantees of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Guarantees {
    /// The effect's name, if the document has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) effect: Option<String>,
    /// The inputs that identify an operation of a caller that sends no idempotency key, sorted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<BTreeSet<String>>,
    /// The statuses of each problem that the endpoint's error types document, by the last part of the problem's type URI.
    #[serde(default)]
    pub(super) problems: BTreeMap<String, BTreeSet<u16>>,
}

#[cfg(feature = "cli")]
impl Guarantees {
    /// The effect; `None` if the document does not have it, or if it is an effect that this version does not know.
    pub(super) fn effect(&self) -> Option<Effect> {
        self.effect.as_deref().and_then(Effect::named)
    }
}

impl From<&Described> for Guarantees {
    fn from(described: &Described) -> Self {
        let endpoint = described.endpoint;
        let mut statuses_of = BTreeMap::<String, BTreeSet<u16>>::new();
        for problem in problems::declared(endpoint) {
            let statuses = statuses_of.entry(problem.kind.to_owned()).or_default();
            statuses.insert(problem.status);
        }
        Self {
            effect: Some(endpoint.effect.name().to_owned()),
            key: endpoint.key.as_ref().map(key),
            problems: statuses_of,
        }
    }
}

/// The names of the inputs that identify an operation.
pub(super) fn key(key: &InputKey) -> BTreeSet<String> {
    key.inputs.iter().map(|&name| name.to_owned()).collect()
}
