//! Finds the operation of a call: by the key in a header, or by the content of the request.

use std::num::NonZeroU64;
use std::sync::Arc;

use http::request::Parts;

use super::prepared::PreparedEndpoint;
use crate::endpoint::Endpoint;
use crate::endpoint::invocation::Invocation;
use crate::idempotency::auditing::Draft;
use crate::input::identity;
use crate::problem::Error;
use crate::protocol::randomness;
use crate::protocol::request::{Kept, Verified};
use crate::record::Record;
use crate::record::operation::{Fingerprint, KeySource, OperationId, Origin};

/// The operation of a call, and the record that the operation's first attempt writes.
pub(crate) struct Operation {
    pub(crate) id: OperationId,
    pub(crate) first: Arc<Record>,
    /// The call as the audit describes it, if the audit is on.
    pub(super) draft: Draft,
}

impl Operation {
    /// The operation of a call whose caller sends this key in a header. Returns `None` if the endpoint is read-only,
    /// because such a call has no operation.
    ///
    /// # Errors
    /// 400 if the call changes something and has no key, and 500 if the system provides no random numbers.
    pub(super) fn of_header(
        endpoint: &Endpoint,
        verified: &Verified<'_>,
        key: Option<&str>,
    ) -> Result<Option<Self>, Error> {
        if !endpoint.effect.is_recorded() {
            return Ok(None);
        }
        let key = key.ok_or_else(unnamed)?;
        let fingerprint = Fingerprint::new(
            endpoint.method.as_str(),
            endpoint.path,
            verified.content_type(),
            verified.body(),
        );
        let tenant = verified.key().tenant();
        Ok(Some(Self {
            id: OperationId::new(tenant, key),
            first: first(fingerprint, endpoint, key, tenant)?,
            draft: None,
        }))
    }

    /// The operation that a key made from the content of the request names. The key is all that has to be the same in
    /// each retry.
    ///
    /// # Errors
    /// 500 if the system provides no random numbers.
    pub(super) fn of_content(source: KeySource, endpoint: &Endpoint, tenant: &str, key: &str) -> Result<Self, Error> {
        Ok(Self {
            id: OperationId::of_content(source, tenant, key),
            first: first(Fingerprint::of_content(source, key), endpoint, key, tenant)?,
            draft: None,
        })
    }
}

fn first(fingerprint: Fingerprint, endpoint: &Endpoint, key: &str, tenant: &str) -> Result<Arc<Record>, Error> {
    let mut record = Record::first(fingerprint, Origin::new(endpoint.name, key, tenant));
    if endpoint.limits.is_some() {
        let mut serial = [0; 8];
        randomness::fill(&mut serial).map_err(Error::internal)?;
        record.serial = NonZeroU64::new(u64::from_ne_bytes(serial)).or(Some(NonZeroU64::MIN));
    }
    Ok(Arc::new(record))
}

/// The error of a call that changes something, and has neither an idempotency key nor inputs that name its operation.
fn unnamed() -> Error {
    let detail = "This call changes something, so it needs an idempotency key, and it has none: send the header X-Idempotency-Key or Idempotency-Key, with the same value on each retry.";
    Error::malformed(detail.to_owned())
}

/// A call whose content was decoded before its operation is claimed, because the content names the operation.
pub(super) struct Decoded {
    pub(super) endpoint: Arc<PreparedEndpoint>,
    pub(super) invocation: Invocation,
    /// The operation and its key, or what is wrong with the content.
    pub(super) operation: Result<Operation, Error>,
}

impl Decoded {
    /// A call whose inputs name its operation.
    pub(super) fn of_inputs(endpoint: Arc<PreparedEndpoint>, kept: Kept, head: Parts) -> Self {
        let mut invocation = Invocation::new(Arc::clone(&endpoint.arguments), kept, head);
        let operation = operation_of_inputs(&endpoint, &invocation).map(|(operation, key)| {
            invocation.identify(&key);
            operation
        });
        Self {
            endpoint,
            invocation,
            operation,
        }
    }
}

/// The operation that the inputs name, and its key.
fn operation_of_inputs(prepared: &PreparedEndpoint, invocation: &Invocation) -> Result<(Operation, String), Error> {
    let endpoint = prepared.endpoint;
    let key = endpoint.key.as_ref().ok_or_else(unnamed)?;
    (key.decode)(invocation)?;
    let kept = &invocation.call().kept;
    let inputs = identity(&prepared.arguments.inputs, endpoint.inputs, key.inputs, kept.content())?;
    let tenant = kept.key().tenant();
    let key = KeySource::key_of_inputs(tenant, endpoint.name, &inputs);
    Ok((Operation::of_content(KeySource::Inputs, endpoint, tenant, &key)?, key))
}
