//! The format `operator`: the name, description, url, method, inputs and outputs of each endpoint.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::guarantees::Guarantees;
use super::model::{Described, Model};
#[cfg(feature = "cli")]
use crate::idempotency::effect::Effect;
#[cfg(feature = "cli")]
use crate::protocol::method::Method;

/// The whole document.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) endpoints: Vec<Description>,
    /// The guarantees of each endpoint by name. They are not part of the descriptions, which have only the fields that
    /// the agent knows.
    #[serde(default)]
    pub(super) guarantees: BTreeMap<String, Guarantees>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) url: String,
    pub(crate) method: String,
    pub(crate) inputs: Value,
    pub(crate) outputs: Value,
}

#[cfg(feature = "cli")]
impl Manifest {
    /// Whether a call of the endpoint may change something. A GET never does; a POST does unless the document says that
    /// the endpoint only reads.
    pub(crate) fn may_change(&self, endpoint: &Description) -> bool {
        let effect = self.guarantees.get(&endpoint.name).and_then(Guarantees::effect);
        endpoint.method != Method::Get.as_str() && effect.is_none_or(Effect::is_recorded)
    }
}

impl From<&Model> for Manifest {
    fn from(model: &Model) -> Self {
        let guarantees = |one: &Described| (one.endpoint.name.to_owned(), one.into());
        Self {
            endpoints: model.endpoints.iter().map(Description::from).collect(),
            guarantees: model.endpoints.iter().map(guarantees).collect(),
        }
    }
}

impl From<&Described> for Description {
    fn from(described: &Described) -> Self {
        Self {
            name: described.endpoint.name.to_owned(),
            description: described.description.clone(),
            url: described.url.clone(),
            method: described.endpoint.method.as_str().to_owned(),
            inputs: described.own_inputs(),
            outputs: described.own_outputs(),
        }
    }
}
