//! Limits: what a call needs of each limit of its endpoint is reserved before the handler starts, and given back if the
//! operation has not acted.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::doubtful::DoubtfulClaim;
use super::lease::{Lease, LeaseError, Values};
use super::operations::Operations;
use super::outcome::{Answer, HandlerOutcome};
use crate::clock::{Clock as _, LAST_OF_9999, SystemClock};
use crate::fail_point::FailPoint;
use crate::limit::sentence::{Over, Room};
use crate::limit::{Holder, Limit, LimitedValue, Reservation, Reserved};
use crate::problem::{Error, Kind};
use crate::record::operation::OperationId;
use crate::record::{Record, State};
use crate::store::{Limits, StoreError, Transaction};

/// What a call needs of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needed {
    pub(crate) limit: &'static Limit,
    pub(crate) value: LimitedValue,
    /// More than 0.
    pub(crate) amount: u64,
}

/// What a call needs of all limits of its endpoint, ordered by the limited values, so that two transactions never wait
/// for each other; or the outcome of a call whose needs cannot be read.
pub(crate) type Needs = Result<Vec<Needed>, HandlerOutcome>;

impl Needed {
    /// The reservation to ask the store for; `None` if the call alone asks for more than the maximum.
    fn reservation(&self, holder: Holder) -> Option<Reservation> {
        let &Self { limit, value, amount } = self;
        (amount <= limit.max).then_some(Reservation {
            value,
            holder,
            amount,
            max: limit.max,
            window: limit.window,
        })
    }

    /// The outcome of a call that is over the limit. It is kept, so a retry gets it again. `full` is how much of the limit
    /// is used, and the time until there is room for the call; it is `None` if the call alone asks for more than the
    /// maximum. `may_have_acted` says whether an earlier attempt may have acted.
    fn over(&self, full: Option<(u64, Duration)>, may_have_acted: bool) -> HandlerOutcome {
        // A second is added, because the time is printed without fractions. `humantime` cannot print a year of five digits.
        const SECOND: Duration = Duration::from_secs(1);
        let &Self { limit, amount, .. } = self;
        let room = full.map(|(used, room_in)| {
            let now = SystemClock::new().since_unix_epoch();
            let at = UNIX_EPOCH + now.saturating_add(room_in).saturating_add(SECOND).min(LAST_OF_9999);
            Room { used, at }
        });
        let over = Over {
            limit,
            amount,
            room,
            may_have_acted,
        };
        let used = full.map(|(used, _)| used);
        let room_in_s = full.map(|(_, room_in)| room_in.as_secs());
        tracing::warn!(limit = %limit, amount, used, max = limit.max, room_in_s, may_have_acted, "refused: the call would exceed a limit");
        HandlerOutcome::refused(&Error::new(Kind::OverLimit, over.to_string()))
    }
}

/// The attempt that the record belongs to.
fn holder(id: OperationId, record: &Record) -> Holder {
    Holder {
        serial: record.serial.unwrap_or_else(|| serial_of(id)),
        epoch: record.epoch,
    }
}

/// The number of an operation whose first attempt ran before its endpoint had limits, so that its record has no number.
fn serial_of(id: OperationId) -> NonZeroU64 {
    let [first, ..] = id.as_bytes().as_chunks().0 else {
        return NonZeroU64::MIN;
    };
    NonZeroU64::new(u64::from_be_bytes(*first)).unwrap_or(NonZeroU64::MIN)
}

/// What [`reserve_in`] will ask for first if this record is written.
pub(super) fn first_reservation(id: OperationId, record: &Record, needs: &Needs) -> Option<Reservation> {
    let needed = needs.as_ref().ok()?.first()?;
    needed.reservation(holder(id, record))
}

/// Reserves everything in the record's transaction, after the savepoint of the handler. Returns the outcome of the call if
/// it is over a limit.
pub(super) async fn reserve_in(
    transaction: &mut dyn Transaction,
    id: OperationId,
    record: &Record,
    needs: Needs,
) -> Result<Option<HandlerOutcome>, StoreError> {
    let needs = match needs {
        Ok(needs) => needs,
        Err(outcome) => return Ok(Some(outcome)),
    };
    let holder = holder(id, record);
    // Only attempts without a transaction leave a record for a retry: the endpoint was not transactional then.
    let may_have_acted = holder.epoch > 1;
    for needed in &needs {
        let Some(reservation) = needed.reservation(holder) else {
            return Ok(Some(needed.over(None, may_have_acted)));
        };
        let reserved = transaction.reserve(reservation).wait().await?;
        FailPoint::AfterReserve.pass();
        if let Reserved::Over { used, room_in } = reserved {
            return Ok(Some(needed.over(Some((used, room_in)), may_have_acted)));
        }
    }
    Ok(None)
}

impl Lease {
    /// Reserves everything, one limit after the other. Returns the outcome of the call if it is over a limit. The lease is
    /// renewed while the needs are read and while the store is asked.
    ///
    /// # Errors
    /// If the store cannot reserve, or the lease was lost meanwhile. Then the handler must not start.
    pub(crate) async fn reserve(
        &mut self,
        needs: impl Future<Output = Needs>,
    ) -> Result<Option<HandlerOutcome>, LeaseError> {
        let (needs, held) = self.held_during(needs).await;
        held?;
        let needs = match needs {
            Ok(needs) => needs,
            Err(outcome) => return Ok(Some(outcome)),
        };
        let holder = holder(self.id, &self.record);
        // Of an operation at most once, only an attempt that has not acted is followed by another one. So all that the
        // operation has reserved is this attempt's, also what an earlier attempt has not given back yet.
        let may_have_acted = holder.epoch > 1 && self.effect.may_run_again();
        let operations = Arc::clone(&self.operations);
        self.reserved = Some(Box::default());
        for needed in &needs {
            let Some(reservation) = needed.reservation(holder) else {
                return Ok(Some(needed.over(None, may_have_acted)));
            };
            // Noted before the store is asked, because its answer may be lost. Nothing of a later attempt is given back.
            let is_own = !may_have_acted;
            if is_own {
                self.values().anew.push(needed.value);
            }
            let reserving = limits(&operations.store)?.reserve(reservation);
            let (reserved, held) = self.held_during(reserving).await;
            FailPoint::AfterReserve.pass();
            match reserved? {
                Reserved::Granted { .. } if is_own => {}
                Reserved::Granted { anew: true } => self.values().anew.push(needed.value),
                Reserved::Granted { anew: false } => self.values().taken_over.push(needed.value),
                Reserved::Over { used, room_in } => {
                    if is_own {
                        self.values().anew.pop();
                    }
                    return Ok(Some(needed.over(Some((used, room_in)), may_have_acted)));
                }
            }
            held?;
        }
        self.confirm().await?;
        Ok(None)
    }

    fn values(&mut self) -> &mut Values {
        self.reserved.get_or_insert_default()
    }

    /// Releases the operation in the background, and gives back what this attempt has reserved, because the handler has not
    /// started and must not start.
    pub(crate) fn abandon(mut self) {
        if let Some(values) = &mut self.reserved {
            values.taken_over.clear();
        }
        let tracker = self.operations.unfinished.clone();
        tracker.spawn(async move {
            let claim = DoubtfulClaim::of_lease(&self);
            tokio::join!(self.give_back(), claim.take_back());
        });
    }

    /// Gives back what is reserved. If this fails, or the process is killed first, it ends with its window, or before, if a
    /// retry gives it back.
    pub(super) async fn give_back(&self) {
        let holder = holder(self.id, &self.record);
        let Some(values) = &self.reserved else { return };
        for value in values.anew.iter().chain(&values.taken_over) {
            let Ok(limits) = limits(&self.operations.store) else {
                return;
            };
            if let Err(error) = limits.give_back(holder, Some(*value)).await {
                tracing::warn!(operation = %self.id, %error, "a part of a limit could not be given back, so it counts until its window has passed, or a retry takes it over");
            }
        }
    }
}

/// What is given back of `values` after an attempt that ended with this state and answer.
///
/// An attempt has not acted if it was refused, or if it ended with "not now". After any other failure it may have acted.
/// What an earlier attempt has reserved is given back only if the operation is refused for good, and it `is_known` that no
/// earlier attempt has acted.
pub(super) fn given_back(
    mut values: Box<Values>,
    is_known: bool,
    state: &State,
    answer: &Answer,
) -> Option<Box<Values>> {
    let Answer::Response { response, kind } = answer else {
        return None;
    };
    let is_refused = response.status.is_client_error();
    if !is_refused && !kind.is_some_and(Kind::is_retryable) {
        return None;
    }
    let is_kept = matches!(state, State::Completed(_) | State::NotKept);
    values.everything = is_refused && is_kept && is_known;
    if !values.everything {
        values.taken_over.clear();
    }
    Some(values)
}

impl Operations {
    /// Gives back what an operation has reserved, when its retry is told that the operation was refused. The process
    /// may have been killed after it recorded the refusal and before it gave anything back.
    pub(crate) async fn give_back_again(&self, id: OperationId, needs: &Needs) {
        let (Ok(needs), Ok(limits)) = (needs, limits(self.store())) else {
            return;
        };
        let giving_back = async {
            let page = self.store().list(id..=id, None, 1).await?;
            let record = page.records.into_iter().find_map(|listed| listed.record.ok());
            let Some(record) = record.filter(|record| record.gives_back) else {
                return Ok(());
            };
            for needed in needs {
                limits.give_back(holder(id, &record), Some(needed.value)).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = giving_back.await {
            tracing::warn!(operation = %id, %error, "a part of a limit could not be given back, so it counts until its window has passed, or a retry takes it over");
        }
    }

    /// How much is reserved of a limited value.
    #[cfg(feature = "cli")]
    pub(crate) async fn used(&self, value: LimitedValue) -> Result<u64, StoreError> {
        limits(self.store())?.used(value).await
    }

    /// Gives back everything that an operation has reserved, after a person has found out that it did not act.
    #[cfg(any(feature = "cli", test))]
    pub(super) async fn give_back_everything(&self, id: OperationId, record: &Record) -> Result<(), StoreError> {
        match self.store().limits() {
            Some(limits) => limits.give_back(holder(id, record), None).await,
            None => Ok(()),
        }
    }
}

fn limits(store: &Arc<dyn crate::store::Store>) -> Result<&dyn Limits, StoreError> {
    store.limits().ok_or_else(|| {
        StoreError::Address(format!(
            "{} cannot count limits: use a store that can, such as `sqlite:PATH`",
            store.describe()
        ))
    })
}
