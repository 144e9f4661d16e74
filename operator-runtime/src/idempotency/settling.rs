//! Looking operations up and settling unknown outcomes by hand: the rules of `machine` applied to a store.

#![cfg_attr(
    not(feature = "cli"),
    allow(dead_code, reason = "without the command line, only tests settle operations")
)]

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::effect::Effect;
use super::machine::{self, Finding, NothingToSettle};
use super::operations::Operations;
use crate::problem::Outcome;
use crate::record::operation::OperationId;
use crate::record::{AuditRow, DecodeError, FirstSeen, Record, Settlement};
use crate::store::{Ages, Audit, AuditFilter, Listed, Proposal, Records, Store, StoreError, Swap};

/// The outcome of an operation in the audit if a person found out that it was not done. A retry may then do it.
const NOT_DONE: &str = "not_done";

/// How many of the newest rows of an operation are searched for its inputs.
const NEWEST_ROWS: u32 = 100;
/// How far the times in the audit may differ from those of the records. A store may round them, or add them to a wall
/// clock that was corrected meanwhile.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// Why an operation cannot be settled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSettled {
    #[error(transparent)]
    Nothing(#[from] NothingToSettle),
    #[error("the operation's record has expired or was removed in the meantime: list the operations again")]
    Gone,
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operation is settled as not done, but what it has reserved of limits is not given back.
    #[error(transparent)]
    NotGivenBack(StoreError),
}

/// What became of a settlement.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It is recorded.
    Now,
    /// This person has settled the operation as not done before. What it has reserved of limits is given back again,
    /// because that may have failed the first time.
    Before(Arc<Settlement>),
}

impl Operations {
    /// The records whose ids are in `ids`, one after the other.
    pub(crate) fn records(&self, ids: RangeInclusive<OperationId>) -> Records<'_, dyn Store> {
        Records::of(&**self.store(), ids)
    }

    /// Whether only a person can find out the outcome of the operation, given the `effect` of its endpoint.
    pub(crate) fn needs_a_person(&self, held: &Record, ages: Ages, effect: Effect) -> Result<(), NothingToSettle> {
        machine::needs_a_person(held, ages, effect, self.settings())
    }

    /// Replaces the record in `listed` with the outcome that a person has found out. If a retry has changed the record
    /// in the meantime, the rules are applied to the changed record. `shown` is the answer as the audit shows it, if the
    /// operation was done.
    ///
    /// # Errors
    /// If there is nothing to settle, the record cannot be read, or the store cannot write or give back.
    pub(crate) async fn settle(
        &self,
        mut listed: Listed,
        effect: Effect,
        finding: &Finding,
        settlement: &Arc<Settlement>,
        shown: Option<String>,
    ) -> Result<Settled, NotSettled> {
        let is_audited = self.audits_settlements().await;
        loop {
            let (held, ages) = (listed.record?, listed.ages);
            if let (Err(NothingToSettle::SettledAsNotDone), Finding::NotDone, Some(before)) =
                (self.needs_a_person(&held, ages, effect), finding, &held.settlement)
            {
                self.free(listed.id, &held).await?;
                return Ok(Settled::Before(Arc::clone(before)));
            }
            let settled = machine::settle(held, ages, effect, self.settings(), finding, settlement)?;
            let audit = if is_audited {
                let call = self.row_with_inputs(listed.id, listed.times.first_seen).await?;
                let row = row(listed.id, &settled, call, finding, settlement, shown.clone());
                Audit::Row(Arc::new(row))
            } else {
                Audit::Nothing
            };
            let swap = self.store().swap(Proposal {
                id: listed.id,
                expected: Some(listed.revision),
                new: Arc::new(settled.clone()),
                first_seen: FirstSeen::Keep,
                audit,
            });
            match swap.wait().await? {
                Swap::Swapped(_) => {
                    if *finding == Finding::NotDone {
                        self.free(listed.id, &settled).await?;
                    }
                    return Ok(Settled::Now);
                }
                Swap::Gone => return Err(NotSettled::Gone),
                Swap::Held { revision, record, ages } => {
                    listed = Listed {
                        revision,
                        record: Ok(Arc::unwrap_or_clone(record)),
                        ages,
                        ..listed
                    };
                }
            }
        }
    }

    async fn free(&self, id: OperationId, settled: &Record) -> Result<(), NotSettled> {
        let giving_back = self.give_back_everything(id, settled);
        giving_back.await.map_err(NotSettled::NotGivenBack)
    }

    /// The newest row of the audit that has the inputs of an operation. `None` if the audit has no such row, as after a
    /// crash that no retry has noticed. Rows from before the operation was first seen are of an earlier operation with
    /// the same idempotency key.
    ///
    /// # Errors
    /// If the audit cannot be read.
    pub(crate) async fn row_with_inputs(
        &self,
        id: OperationId,
        first_seen: SystemTime,
    ) -> Result<Option<AuditRow>, StoreError> {
        let Some(log) = self.store().audit() else {
            return Ok(None);
        };
        let filter = AuditFilter {
            since: first_seen.checked_sub(CLOCKS_DIFFER),
            operation: Some(id.to_string()),
            ..AuditFilter::default()
        };
        let page = log.page(filter, None, NEWEST_ROWS).await?;
        let mut rows = page.rows.into_iter().map(|audited| audited.row);
        Ok(rows.find(|row| row.inputs.is_some()))
    }

    /// Whether a settlement adds a row to the audit: if the audit is on, and also if it was on before, because the person
    /// who settles may not have the server's environment.
    async fn audits_settlements(&self) -> bool {
        let Some(log) = self.store().audit() else { return false };
        let has_rows = async || {
            log.page(AuditFilter::default(), None, 1)
                .await
                .is_ok_and(|page| !page.rows.is_empty())
        };
        self.has_audit() || has_rows().await
    }
}

/// The row of a settlement. `call` is an earlier row of the operation, which describes the call that began it.
fn row(
    id: OperationId,
    settled: &Record,
    call: Option<AuditRow>,
    finding: &Finding,
    settlement: &Settlement,
    shown: Option<String>,
) -> AuditRow {
    let (outcome, status) = match finding {
        Finding::Done(response) => (Outcome::Done.word(), Some(response.status.as_u16())),
        Finding::NotDone => (NOT_DONE, None),
    };
    let mut row = AuditRow::new(id, settled.origin.clone(), outcome);
    row.status = status;
    row.answer = shown;
    row.attempts = settled.epoch;
    row.settled_by = Some(settlement.by.clone());
    if let Some(call) = call {
        row.key_id = call.key_id;
        row.scheme = call.scheme;
        row.inputs = call.inputs;
        row.trace_id = call.trace_id;
    }
    row
}

#[cfg(all(test, feature = "sqlite"))]
mod tests;
