//! Looking operations up and settling unknown outcomes by hand: the rules of `machine` applied to a store.

#![cfg_attr(
    not(feature = "cli"),
    allow(dead_code, reason = "without the command line, only tests settle operations")
)]

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::effect::Effect;
use super::machine::{self, Finding, NothingToSettle};
use super::operations::Operations;
use crate::record::operation::OperationId;
use crate::record::{DecodeError, FirstSeen, Record, Settlement};
use crate::store::{Ages, Listed, Proposal, Records, Store, StoreError, Swap};

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
    /// in the meantime, the rules are applied to the changed record.
    ///
    /// # Errors
    /// If there is nothing to settle, the record cannot be read, or the store cannot write.
    pub(crate) async fn settle(
        &self,
        mut listed: Listed,
        effect: Effect,
        finding: &Finding,
        settlement: &Arc<Settlement>,
    ) -> Result<Record, NotSettled> {
        loop {
            let (held, ages) = (listed.record?, listed.ages);
            let settled = machine::settle(held, ages, effect, self.settings(), finding, settlement)?;
            let swap = self.store().swap(Proposal {
                id: listed.id,
                expected: Some(listed.revision),
                new: Arc::new(settled.clone()),
                first_seen: FirstSeen::Keep,
            });
            match swap.wait().await? {
                Swap::Swapped(_) => {
                    if *finding == Finding::NotDone {
                        self.give_back_everything(listed.id, &settled).await?;
                    }
                    return Ok(settled);
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
}
