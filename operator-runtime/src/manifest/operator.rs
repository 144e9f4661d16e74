//! The format `operator`: the name, description, url, method, inputs and outputs of each endpoint.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::{Described, Model};

/// The whole document.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) endpoints: Vec<Description>,
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

impl From<&Model> for Manifest {
    fn from(model: &Model) -> Self {
        Self {
            endpoints: model.endpoints.iter().map(Description::from).collect(),
        }
    }
}

impl From<&Described> for Description {
    fn from(described: &Described) -> Self {
        Self {
            name: described.endpoint.name.to_owned(),
            description: described.endpoint.description.to_owned(),
            url: described.url.clone(),
            method: described.endpoint.method.as_str().to_owned(),
            inputs: described.own_inputs(),
            outputs: described.own_outputs(),
        }
    }
}
