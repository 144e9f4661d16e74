//! The limits of the memory store: one window for each limited value, behind one lock.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::MemoryStore;
use crate::limit::window::Window;
use crate::limit::{Holder, LimitedValue, Reservation, Reserved};
use crate::store::{BoxFuture, Limits, StoreError};

/// The windows, in a tree, because a tree gives memory back when values are removed.
#[derive(Debug, Default)]
pub(super) struct Windows(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    windows: BTreeMap<LimitedValue, Window>,
    /// The last value that a sweep has finished.
    swept: Option<LimitedValue>,
}

/// The size of a tree's entry: its nodes are at least half full.
const ENTRY: usize = 2 * size_of::<(LimitedValue, Window)>();

impl Windows {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        // A poisoned lock still guards consistent counts, because nothing that can panic runs between two changes.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryStore {
    fn elapsed(&self) -> Duration {
        self.clock.monotonic()
    }

    fn reserve_now(&self, asked: &Reservation) -> Result<Reserved, StoreError> {
        let mut counted = self.windows.lock();
        if self.used.load(Ordering::Relaxed) >= self.limit {
            return Err(self.full());
        }
        let before = counted.windows.get(&asked.value).map_or(0, size);
        let window = counted.windows.entry(asked.value).or_default();
        let answer = window.reserve(asked, self.elapsed());
        let after = size(window);
        self.used.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
        Ok(answer)
    }

    fn give_back_now(&self, holder: Holder, value: Option<LimitedValue>) {
        let mut counted = self.windows.lock();
        match value {
            None => counted.windows.values_mut().for_each(|window| window.give_back(holder)),
            Some(value) => {
                if let Some(window) = counted.windows.get_mut(&value) {
                    window.give_back(holder);
                    self.remove_if_empty(&mut counted, value);
                }
            }
        }
    }

    fn remove_if_empty(&self, counted: &mut Counted, value: LimitedValue) {
        if counted.windows.get(&value).is_some_and(Window::is_empty)
            && let Some(window) = counted.windows.remove(&value)
        {
            self.used.fetch_sub(size(&window), Ordering::Relaxed);
        }
    }

    /// Looks at no more than `limit` values after the last one that a sweep has finished, and removes no more than `limit`
    /// reservations, so that the lock is never held for long.
    fn sweep_limits_now(&self, limit: u32) -> bool {
        let limit = limit as usize;
        let now = self.elapsed();
        let mut counted = self.windows.lock();
        let from = counted.swept.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut swept, mut looked_at, mut left) = (counted.swept, Vec::new(), limit);
        for (value, window) in counted.windows.range_mut((from, Bound::Unbounded)).take(limit) {
            left -= window.expire_some(left, now);
            looked_at.push(*value);
            if left == 0 {
                // The next sweep begins with this value, of which more may have ended.
                break;
            }
            swept = Some(*value);
        }
        for value in &looked_at {
            self.remove_if_empty(&mut counted, *value);
        }
        let is_full = left == 0 || looked_at.len() == limit;
        counted.swept = swept.filter(|_| is_full);
        is_full && limit > 0
    }
}

fn size(window: &Window) -> usize {
    ENTRY + window.size()
}

impl Limits for MemoryStore {
    fn reserve(&self, asked: Reservation) -> BoxFuture<'_, Result<Reserved, StoreError>> {
        Box::pin(async move { self.reserve_now(&asked) })
    }

    fn give_back(&self, holder: Holder, value: Option<LimitedValue>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.give_back_now(holder, value);
            Ok(())
        })
    }

    fn used(&self, value: LimitedValue) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let counted = self.windows.lock();
            let window = counted.windows.get(&value);
            Ok(window.map_or(0, |window| window.used(self.elapsed())))
        })
    }

    fn remove_ended(&self, limit: u32) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.sweep_limits_now(limit)) })
    }
}
