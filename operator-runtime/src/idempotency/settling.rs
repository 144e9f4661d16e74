//! A person looks operations up and settles what is unknown: the rules of `machine` applied to a store.

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
use crate::store::{Ages, Listed, Records, Store, StoreError, Swap};

/// Why an operation is not settled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSettled {
    #[error(transparent)]
    Nothing(#[from] NothingToSettle),
    #[error("its record is no longer there")]
    Gone,
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Operations {
    /// The operations whose ids are in `ids`, one after the other.
    pub(crate) fn records(&self, ids: RangeInclusive<OperationId>) -> Records<'_, dyn Store> {
        Records::of(&**self.store(), ids)
    }

    /// Whether nobody but a person can say what became of the operation, whose endpoint has that effect.
    pub(crate) fn needs_a_person(&self, held: &Record, ages: Ages, effect: Effect) -> Result<(), NothingToSettle> {
        machine::needs_a_person(held, ages, effect, self.settings())
    }

    /// Writes what a person has found out over what was `listed`; where a retry has written in between, the rules are
    /// asked again.
    ///
    /// # Errors
    /// If there is nothing to settle, it cannot be read, or the store cannot write.
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
            let swap = self.store().swap(
                listed.id,
                Some(listed.revision),
                Arc::new(settled.clone()),
                FirstSeen::Keep,
            );
            match swap.wait().await? {
                Swap::Swapped(_) => return Ok(settled),
                Swap::Gone => return Err(NotSettled::Gone),
                Swap::Held { revision, record, ages } => {
                    listed = Listed {
                        id: listed.id,
                        revision,
                        record: Ok(Arc::unwrap_or_clone(record)),
                        ages,
                    };
                }
            }
        }
    }
}
