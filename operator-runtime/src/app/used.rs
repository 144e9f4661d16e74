//! How much of an endpoint's limits is used, for `operations limits` and for the console.

use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::idempotency::operations::Operations;
use crate::input::{BoundInputs, Input, identity};
use crate::limit::Limit;
use crate::protocol::request::Content;
use crate::store::StoreError;

/// Why it is unknown how much of a limit is used.
#[derive(Debug)]
pub(super) enum NotKnown {
    /// The limit is counted for each value of this input, which was not given.
    Missing(&'static str),
    /// An input has no form that is counted. A sentence says why.
    Input(String),
    /// The store does not answer.
    Store(StoreError),
}

/// How much of one limit is used by those calls of a tenant whose `per` inputs have the same values as in `body`. Other
/// inputs need not be in the body.
pub(super) async fn used(
    operations: &Operations,
    endpoint: &Endpoint,
    limit: &Limit,
    tenant: &str,
    body: &str,
) -> Result<u64, NotKnown> {
    let per = per(endpoint, limit, body)?;
    let value = limit.value(tenant, endpoint.name, &per);
    operations.used(value).await.map_err(NotKnown::Store)
}

/// The values of the inputs in `per`, as one text.
fn per(endpoint: &Endpoint, limit: &Limit, body: &str) -> Result<String, NotKnown> {
    if limit.per.is_empty() {
        return Ok(String::new());
    }
    let given: Value = serde_json::from_str(body).map_err(|error| NotKnown::Input(format!("{error}.")))?;
    let is_missing =
        |input: &&Input| limit.per.contains(&input.name) && input.is_required() && given.get(input.name).is_none();
    if let Some(missing) = endpoint.inputs.iter().find(is_missing) {
        return Err(NotKnown::Missing(missing.name));
    }
    let bound = BoundInputs::of(endpoint.method, endpoint.inputs);
    let bound = bound.map_err(|_| NotKnown::Input(format!("The inputs of `{}` cannot be read.", endpoint.name)))?;
    let content = Content::Body(body.to_owned().into());
    identity(&bound, endpoint.inputs, limit.per, &content).map_err(|error| NotKnown::Input(error.detail().to_owned()))
}
