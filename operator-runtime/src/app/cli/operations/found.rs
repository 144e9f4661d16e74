//! One operation as it is shown to a person: its endpoint, its state and its times.

use std::time::Duration;

use serde::Serialize;

use super::{Desk, utc};
use crate::clock::{Clock as _, SystemClock};
use crate::endpoint::Endpoint;
use crate::idempotency::effect::Effect;
use crate::idempotency::machine::NothingToSettle;
use crate::store::{Ages, DecodeError, Listed, OperationId, Record, Revision, State};

/// An operation from the store, with its endpoint if the program has the endpoint.
pub(super) struct Found {
    pub(super) id: OperationId,
    record: Record,
    revision: Revision,
    ages: Ages,
    pub(super) endpoint: Option<&'static Endpoint>,
    /// `Ok` if a person has to settle the operation; otherwise the reason why nobody has to.
    pub(super) to_settle: Result<(), NothingToSettle>,
    /// When the operation was first seen, in seconds since 1970-01-01 UTC by this machine's clock.
    pub(super) first_seen: u64,
}

/// An operation whose record is damaged, or was written by another version of this crate.
#[derive(Debug, thiserror::Error)]
#[error("Operation {} cannot be read: {why}.", .id.abbreviated())]
pub(super) struct Unreadable {
    pub(super) id: OperationId,
    pub(super) first_seen: u64,
    pub(super) why: DecodeError,
}

/// The operation as JSON, for programs.
#[derive(Serialize)]
pub(super) struct Told<'f> {
    operation: String,
    state: &'static str,
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
    pub(super) fn new(desk: &Desk, listed: Listed) -> Result<Self, Unreadable> {
        let first_seen = ago(listed.ages.since_first_seen);
        let record = listed.record.map_err(|why| Unreadable {
            id: listed.id,
            first_seen,
            why,
        })?;
        let name = record.origin.endpoint();
        let endpoint = desk.endpoints.iter().copied().find(|endpoint| endpoint.name == name);
        let to_settle = desk
            .operations
            .needs_a_person(&record, listed.ages, effect_of(endpoint));
        Ok(Self {
            first_seen,
            endpoint,
            to_settle,
            id: listed.id,
            record,
            revision: listed.revision,
            ages: listed.ages,
        })
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// The operation as the store listed it.
    pub(super) fn into_listed(self) -> Listed {
        Listed {
            id: self.id,
            revision: self.revision,
            record: Ok(self.record),
            ages: self.ages,
        }
    }

    pub(super) fn effect(&self) -> Effect {
        effect_of(self.endpoint)
    }

    /// The state in one or two words.
    pub(super) fn state(&self) -> &'static str {
        match (&self.to_settle, &self.record().state) {
            (Err(NothingToSettle::Expired), _) => "expired",
            (Ok(()), _) | (_, State::Unknown) => "unknown",
            (Err(NothingToSettle::RunsAgain), _) => "lost",
            (_, State::InProgress) => "running",
            (_, State::Released) => "released",
            (_, State::Completed(_)) => "completed",
            (_, State::NotKept) => "not kept",
        }
    }

    pub(super) fn last_written(&self) -> u64 {
        ago(self.ages.since_written)
    }

    pub(super) fn told(&self) -> Told<'_> {
        let record = self.record();
        let settlement = record.settlement.as_deref();
        Told {
            operation: self.id.to_string(),
            state: self.state(),
            needs_a_person: self.to_settle.is_ok(),
            endpoint: record.origin.endpoint(),
            tenant: record.origin.tenant(),
            idempotency_key: record.origin.idempotency_key(),
            attempt: record.epoch,
            first_seen: utc(self.first_seen),
            last_written: utc(self.last_written()),
            settled_by: settlement.map(|settlement| settlement.by.as_str()),
            settled_at: settlement.map(|settlement| utc(settlement.unix_seconds())),
        }
    }
}

/// The effect of an endpoint. If this program does not have the endpoint, its effect is not known. `AtMostOnce` is then
/// assumed, so that a person decides about lost attempts.
fn effect_of(endpoint: Option<&Endpoint>) -> Effect {
    endpoint.map_or(Effect::AtMostOnce, |endpoint| endpoint.effect)
}

/// The time of an event in seconds since 1970-01-01 UTC. Its age comes from the store's clock, and the present time
/// from this machine's clock.
fn ago(age: Duration) -> u64 {
    SystemClock::new().unix_seconds().saturating_sub(age.as_secs())
}
