//! A document that `manifest --check` compares with the current endpoints, as an earlier version of the program would have
//! written it, and the places in it that tests change.

use serde_json::Value;

/// A document as an earlier version of the program would have written it.
pub(crate) struct Earlier {
    pub(crate) format: &'static str,
    pub(crate) document: Value,
}

impl Earlier {
    pub(crate) fn is_openapi(&self) -> bool {
        self.format.starts_with("openapi")
    }

    /// The description of an endpoint in the document.
    pub(crate) fn endpoint(&mut self, name: &str) -> &mut Value {
        if self.is_openapi() {
            let paths = self.document["paths"].as_object_mut().unwrap();
            let mut operations = paths
                .values_mut()
                .flat_map(|methods| methods.as_object_mut().unwrap().values_mut());
            return operations.find(|one| one["operationId"] == name).unwrap();
        }
        let list = if self.format == "mcp" { "tools" } else { "endpoints" };
        let mut endpoints = self.document[list].as_array_mut().unwrap().iter_mut();
        endpoints.find(|one| one["name"] == name).unwrap()
    }

    /// The schema of a POST's inputs, which is an object.
    pub(crate) fn inputs(&mut self, name: &str) -> &mut Value {
        let (is_openapi, is_mcp) = (self.is_openapi(), self.format == "mcp");
        let endpoint = self.endpoint(name);
        match (is_openapi, is_mcp) {
            (true, _) => &mut endpoint["requestBody"]["content"]["application/json"]["schema"],
            (_, true) => &mut endpoint["inputSchema"],
            _ => &mut endpoint["inputs"],
        }
    }

    /// The schema of one input of a GET.
    pub(crate) fn parameter(&mut self, endpoint: &str, name: &str) -> &mut Value {
        if self.is_openapi() {
            let parameters = self.endpoint(endpoint)["parameters"].as_array_mut().unwrap();
            return &mut parameters.iter_mut().find(|one| one["name"] == name).unwrap()["schema"];
        }
        &mut self.inputs(endpoint)["properties"][name]
    }

    /// The guarantees of an endpoint, in the formats that list them.
    pub(crate) fn guarantees(&mut self, endpoint: &str) -> &mut Value {
        if self.format == "mcp" {
            return &mut self.endpoint(endpoint)["_meta"]["operator-runtime/guarantees"];
        }
        &mut self.document["guarantees"][endpoint]
    }

    pub(crate) fn effect(&mut self, endpoint: &str) -> &mut Value {
        if self.is_openapi() {
            return &mut self.endpoint(endpoint)["x-operator-effect"];
        }
        &mut self.guarantees(endpoint)["effect"]
    }

    /// The schema of an endpoint's output, or of a part of the output.
    pub(crate) fn outputs(&mut self, endpoint: &str, component: &str, inlined: &str) -> &mut Value {
        if self.is_openapi() {
            return &mut self.document["components"]["schemas"][component];
        }
        let outputs = if self.format == "mcp" {
            "outputSchema"
        } else {
            "outputs"
        };
        self.endpoint(endpoint)[outputs].pointer_mut(inlined).unwrap()
    }
}
