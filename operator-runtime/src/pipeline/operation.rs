//! Identifies the operation of a call.

use std::sync::Arc;

use super::prepared::PreparedEndpoint;
use crate::protocol::request::Verified;
use crate::record::Record;
use crate::record::operation::{Fingerprint, OperationId, Origin};

/// The operation of a call, and the record that the operation's first attempt writes.
pub(crate) struct Operation {
    pub(crate) id: OperationId,
    pub(crate) first: Arc<Record>,
}

impl Operation {
    /// The operation of a verified call to `endpoint`.
    pub(crate) fn of(endpoint: &PreparedEndpoint, verified: &Verified<'_>) -> Self {
        let endpoint = endpoint.endpoint;
        let (tenant, idempotency_key) = (verified.key().tenant(), verified.idempotency_key().unwrap_or_default());
        let fingerprint = Fingerprint::new(
            endpoint.method.as_str(),
            endpoint.path,
            verified.content_type(),
            verified.body(),
        );
        Self {
            id: OperationId::new(tenant, idempotency_key),
            first: Arc::new(Record::first(
                fingerprint,
                Origin::new(endpoint.name, idempotency_key, tenant),
            )),
        }
    }
}
