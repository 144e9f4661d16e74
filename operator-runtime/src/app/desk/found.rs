//! One operation as it is shown to a person: its endpoint, its outcome and its times.

use serde::Serialize;

use super::{Desk, utc};
use crate::endpoint::Endpoint;
use crate::idempotency::effect::Effect;
use crate::idempotency::machine::NothingToSettle;
use crate::pipeline::audited::{AuditedEndpoint, hidden};
use crate::problem::Outcome;
use crate::store::{Ages, DecodeError, Listed, OperationId, Record, Revision, State, Times};

const RUNNING: &str = "running";
const RELEASED: &str = "released";
const LOST: &str = "lost";

/// What [`Found::outcome`] says of an operation that has not expired.
pub(in crate::app) const OUTCOMES: [&str; 10] = [
    Outcome::Done.word(),
    Outcome::Declined.word(),
    Outcome::Invalid.word(),
    Outcome::OverLimit.word(),
    Outcome::Failed.word(),
    Outcome::ResponseNotKept.word(),
    Outcome::Unknown.word(),
    LOST,
    RELEASED,
    RUNNING,
];

/// An operation from the store, with its endpoint if the program has the endpoint.
pub(in crate::app) struct Found {
    pub(in crate::app) id: OperationId,
    record: Record,
    revision: Revision,
    ages: Ages,
    pub(in crate::app) endpoint: Option<&'static Endpoint>,
    /// `Ok` if a person has to settle the operation; otherwise the reason why nobody has to.
    pub(in crate::app) to_settle: Result<(), NothingToSettle>,
    pub(in crate::app) times: Times,
}

/// An operation whose record is damaged, or was written by another version of this crate.
#[derive(Debug, thiserror::Error)]
#[error("Operation {} cannot be read: {why}.", .id.abbreviated())]
pub(in crate::app) struct Unreadable {
    pub(in crate::app) id: OperationId,
    pub(in crate::app) times: Times,
    pub(in crate::app) why: DecodeError,
}

/// A stored answer, without its secret parts if the program has the endpoint.
#[derive(Serialize)]
pub(in crate::app) struct StoredAnswer {
    pub(in crate::app) status: u16,
    pub(in crate::app) content_type: String,
    pub(in crate::app) body: String,
}

/// The operation as JSON, for programs.
#[derive(Serialize)]
pub(in crate::app) struct Told<'f> {
    operation: String,
    outcome: &'static str,
    needs_a_person: bool,
    endpoint: &'f str,
    tenant: &'f str,
    idempotency_key: &'f str,
    attempt: u32,
    first_seen: String,
    last_written: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_by: Option<&'f str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_at: Option<String>,
}

impl Found {
    /// # Errors
    /// If the operation's record cannot be read.
    pub(in crate::app) fn new(desk: &Desk, listed: Listed) -> Result<Self, Unreadable> {
        let record = listed.record.map_err(|why| Unreadable {
            id: listed.id,
            times: listed.times,
            why,
        })?;
        let name = record.origin.endpoint();
        let endpoint = desk.endpoints.iter().copied().find(|endpoint| endpoint.name == name);
        let to_settle = desk
            .operations
            .needs_a_person(&record, listed.ages, effect_of(endpoint));
        Ok(Self {
            times: listed.times,
            endpoint,
            to_settle,
            id: listed.id,
            record,
            revision: listed.revision,
            ages: listed.ages,
        })
    }

    pub(in crate::app) fn record(&self) -> &Record {
        &self.record
    }

    /// The operation as the store listed it.
    pub(in crate::app) fn into_listed(self) -> Listed {
        Listed {
            id: self.id,
            revision: self.revision,
            record: Ok(self.record),
            ages: self.ages,
            times: self.times,
        }
    }

    pub(in crate::app) fn effect(&self) -> Effect {
        effect_of(self.endpoint)
    }

    /// How the operation ended, in the word of the log and the metrics, or how it stands if it has not ended.
    pub(in crate::app) fn outcome(&self) -> &'static str {
        match (&self.to_settle, &self.record().state) {
            (Err(NothingToSettle::Expired), _) => "expired",
            (Err(NothingToSettle::Running { .. }), State::InProgress) => RUNNING,
            (_, State::InProgress) => LOST,
            (_, State::Released) => RELEASED,
            (_, State::Completed(answer)) => Outcome::of_answer(answer).word(),
            (_, State::NotKept) => Outcome::ResponseNotKept.word(),
            (_, State::Unknown) => Outcome::Unknown.word(),
        }
    }

    /// The stored answer, if there is one.
    pub(in crate::app) fn answer(&self) -> Option<StoredAnswer> {
        let State::Completed(response) = &self.record().state else {
            return None;
        };
        let outcome = Outcome::of_answer(response);
        let body = match self.endpoint {
            Some(endpoint) => AuditedEndpoint::of(endpoint).answer(outcome, &response.body),
            // Nobody knows what of it is secret.
            None => None,
        };
        Some(StoredAnswer {
            status: response.status.as_u16(),
            content_type: response.content_type.to_string(),
            body: body.unwrap_or_else(hidden),
        })
    }

    pub(in crate::app) fn told(&self) -> Told<'_> {
        let record = self.record();
        let settlement = record.settlement.as_deref();
        Told {
            operation: self.id.to_string(),
            outcome: self.outcome(),
            needs_a_person: self.to_settle.is_ok(),
            endpoint: record.origin.endpoint(),
            tenant: record.origin.tenant(),
            idempotency_key: record.origin.idempotency_key(),
            attempt: record.epoch,
            first_seen: utc(self.times.first_seen),
            last_written: utc(self.times.written),
            settled_by: settlement.map(|settlement| settlement.by.as_str()),
            settled_at: settlement.map(|settlement| utc(settlement.at)),
        }
    }
}

/// The effect of an endpoint. If this program does not have the endpoint, its effect is not known. `AtMostOnce` is then
/// assumed, so that a person decides about lost attempts.
fn effect_of(endpoint: Option<&Endpoint>) -> Effect {
    endpoint.map_or(Effect::AtMostOnce, |endpoint| endpoint.effect)
}
