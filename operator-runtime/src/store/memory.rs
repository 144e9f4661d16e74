//! The store in the memory of this process, for tests and for programs that mostly read. Records are lost when the
//! process ends.

mod held;
mod limits;

use std::any::Any;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hashbrown::HashTable;

use self::held::{Held, Moment};
use super::{
    BoxFuture, Counts, Cursor, FirstSeen, Limits, Listed, OperationId, Page, Proposal, Record, Revision, Step, Store,
    StoreError, Swap,
};
use crate::clock::{Clock, SystemClock};

/// With this many shards, calls rarely wait for each other, and no call waits for long while the table of a shard grows:
/// with ten million records, ten thousand are moved at once.
const SHARDS: usize = 1024;
const DEFAULT_LIMIT: usize = 256 * 1024 * 1024;

/// A store in the memory of this process, with a size limit. When the store is full, it refuses new operations. It
/// drops no record before the record expires.
#[derive(Debug)]
pub struct MemoryStore {
    shards: Box<[Mutex<Shard>]>,
    used: AtomicUsize,
    limit: usize,
    /// The shard at which the next sweep begins.
    swept: AtomicUsize,
    clock: Arc<dyn Clock>,
    /// The wall-clock time of the moment zero, which is read once, so that a moment always has the same time.
    began: SystemTime,
    windows: limits::Windows,
}

/// One part of the operations, behind its own lock.
#[derive(Debug)]
struct Shard {
    records: HashTable<Box<Held>>,
    /// The revision of the next write. The revisions of a shard are `SHARDS` apart, so that no two shards share a
    /// revision.
    next: Revision,
}

/// Why the store is full.
#[derive(Debug, thiserror::Error)]
#[error("its records have reached the limit of {0} bytes")]
struct LimitReached(usize);

impl MemoryStore {
    /// An empty store with a limit of 256 MiB.
    #[must_use]
    pub fn new() -> Self {
        Self::with(DEFAULT_LIMIT, Arc::new(SystemClock::new()))
    }

    /// An empty store with its own clock, which refuses new operations once its records take `limit` bytes.
    ///
    /// The limit counts the memory that is allocated for the records, including their hash tables. Operations that are
    /// already in the store can still be completed, so the store may exceed the limit by their responses, and by one
    /// growth of a table.
    #[must_use]
    pub fn with(limit: usize, clock: Arc<dyn Clock>) -> Self {
        let began = clock.since_unix_epoch().saturating_sub(clock.monotonic());
        Self {
            shards: (0..SHARDS).map(|index| Mutex::new(Shard::new(index))).collect(),
            used: AtomicUsize::new(0),
            limit,
            swept: AtomicUsize::new(0),
            began: UNIX_EPOCH.checked_add(began).unwrap_or(UNIX_EPOCH),
            clock,
            windows: limits::Windows::default(),
        }
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.clock.monotonic().as_nanos()).unwrap_or(u64::MAX))
    }

    fn shard(&self, id: &OperationId) -> MutexGuard<'_, Shard> {
        // The first bytes select the shard, because the tables use the last bytes of the id.
        let [first, second, ..] = *id.as_bytes();
        lock(&self.shards[usize::from(u16::from_be_bytes([first, second])) % SHARDS])
    }

    fn swap_now(&self, proposal: Proposal) -> Result<Swap, StoreError> {
        let Proposal {
            id,
            expected,
            new,
            first_seen,
            audit: _,
        } = proposal;
        let now = self.now();
        let mut shard = self.shard(&id);
        let Shard { records, next } = &mut *shard;
        let Some(held) = records.find_mut(hash(&id), |held| held.id == id) else {
            return match expected {
                Some(_) => Ok(Swap::Gone),
                None => self.add(&mut shard, id, &new, now),
            };
        };
        if Some(held.revision) != expected {
            return held.answer(now).map_err(|source| StoreError::Unreadable {
                store: self.describe(),
                source,
            });
        }
        let new = held::encode(&new);
        let more = new.len().wrapping_sub(held.record.len());
        self.used.fetch_add(more, Ordering::Relaxed);
        held.record = new;
        held.written = now;
        if first_seen == FirstSeen::Reset {
            held.first_seen = now;
        }
        held.revision = take(next);
        Ok(Swap::Swapped(held.revision))
    }

    fn add(&self, shard: &mut Shard, id: OperationId, new: &Record, now: Moment) -> Result<Swap, StoreError> {
        let Shard { records, next } = shard;
        let held = Box::new(Held {
            id,
            revision: *next,
            written: now,
            first_seen: now,
            record: held::encode(new),
        });
        let size = held.size();
        if self.used.fetch_add(size, Ordering::Relaxed) + size > self.limit {
            self.used.fetch_sub(size, Ordering::Relaxed);
            return Err(self.full());
        }
        let table = records.allocation_size();
        records.insert_unique(hash(&id), held, |held| hash(&held.id));
        self.used
            .fetch_add(records.allocation_size() - table, Ordering::Relaxed);
        Ok(Swap::Swapped(take(next)))
    }

    fn full(&self) -> StoreError {
        StoreError::Full {
            store: self.describe(),
            remedy: "wait for older records to expire, keep them for a shorter time (`ttl`), build the store with a higher limit (`MemoryStore::with`), or set OPERATOR_STORE=sqlite:PATH",
            source: Arc::new(LimitReached(self.limit)),
        }
    }

    /// Removes at most `limit` expired records of a shard, and returns how many it has removed.
    fn sweep_shard(&self, shard: &Mutex<Shard>, older_than: Duration, limit: u32) -> u32 {
        let now = self.now();
        let mut removed = 0;
        lock(shard).records.retain(|held| {
            let ages = held.ages(now);
            let remove = removed < limit && ages.since_first_seen > older_than && ages.since_written > older_than;
            if remove {
                removed += 1;
                self.used.fetch_sub(held.size(), Ordering::Relaxed);
            }
            !remove
        });
        removed
    }

    /// Begins where the last sweep has ended, so that a sweep in many batches looks at each shard about once.
    async fn sweep_from_the_last(&self, older_than: Duration, limit: u32) -> u32 {
        let mut removed = 0;
        let first = self.swept.load(Ordering::Relaxed);
        for shard in (first..first + SHARDS).map(|shard| shard % SHARDS) {
            self.swept.store(shard, Ordering::Relaxed);
            removed += self.sweep_shard(&self.shards[shard], older_than, limit - removed);
            if removed == limit {
                break;
            }
            tokio::task::yield_now().await;
        }
        removed
    }

    /// Adds the first `limit` records of a shard that are meant to those of other shards, and keeps the first of all.
    fn list_shard(
        &self,
        shard: &Mutex<Shard>,
        is_meant: impl Fn(&OperationId) -> bool,
        limit: usize,
        listed: &mut Vec<Listed>,
    ) {
        let now = self.now();
        let shard = lock(shard);
        let mut meant: Vec<&Held> = shard
            .records
            .iter()
            .map(|held| &**held)
            .filter(|held| is_meant(&held.id))
            .collect();
        meant.sort_unstable_by_key(|held| held.id);
        listed.extend(meant.into_iter().take(limit).map(|held| held.listed(now, self.began)));
        listed.sort_unstable_by_key(|listed| listed.id);
        listed.truncate(limit);
    }

    fn count_shard(&self, shard: &Mutex<Shard>, lease: Duration, counts: &mut Counts) {
        let now = self.now();
        for held in &lock(shard).records {
            counts.add_tagged(held.tag(), held.ages(now).since_written, lease);
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Shard {
    fn new(index: usize) -> Self {
        Self {
            records: HashTable::new(),
            next: Revision(index as u64),
        }
    }
}

fn take(next: &mut Revision) -> Revision {
    let revision = *next;
    next.0 += SHARDS as u64;
    revision
}

impl Store for MemoryStore {
    fn swap(&self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>> {
        Step::Now(self.swap_now(proposal))
    }

    fn sweep(&self, older_than: Duration, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(async move { Ok(self.sweep_from_the_last(older_than, limit).await) })
    }

    fn list(
        &self,
        ids: RangeInclusive<OperationId>,
        after: Option<Cursor>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(async move {
            let is_meant = |id: &OperationId| {
                let is_after = |Cursor(after): &Cursor| id.as_bytes().as_slice() > after.as_slice();
                ids.contains(id) && after.as_ref().is_none_or(is_after)
            };
            let mut listed = Vec::new();
            for shard in &self.shards {
                self.list_shard(shard, is_meant, limit as usize, &mut listed);
                tokio::task::yield_now().await;
            }
            Ok(Page::of_ordered(listed, limit))
        })
    }

    fn count(&self, lease: Duration) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Box::pin(async move {
            let mut counts = Counts::default();
            for shard in &self.shards {
                self.count_shard(shard, lease, &mut counts);
                tokio::task::yield_now().await;
            }
            Ok(counts)
        })
    }

    fn limits(&self) -> Option<&dyn Limits> {
        Some(self)
    }

    fn built_in(&self) -> Option<&(dyn Any + Send + Sync)> {
        Some(self)
    }

    fn describe(&self) -> String {
        "this process's memory".to_owned()
    }

    fn warning(&self) -> Option<String> {
        Some("Idempotency records are in memory only: after a restart, a retry runs again; set OPERATOR_STORE=sqlite:PATH to keep them.".to_owned())
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // A poisoned shard is still consistent, because nothing that can panic runs between two writes to it.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Eight bytes of the id, which is a SHA-256 hash already.
fn hash(id: &OperationId) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = *id.as_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests;
