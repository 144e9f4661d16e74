//! The store in the memory of this process, for tests and for programs that mostly read. Records are lost when the
//! process ends.

mod limits;
mod size;

use std::any::Any;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{
    Ages, BoxFuture, Counts, Cursor, FirstSeen, Limits, Listed, OperationId, Page, Proposal, Record, Revision, Step,
    Store, StoreError, Swap, Times,
};
use crate::clock::{Clock, SystemClock};

/// With this many shards, calls rarely wait for each other. There are not more, because each shard pauses when its
/// table grows.
const SHARDS: usize = 16;
const DEFAULT_LIMIT: usize = 256 * 1024 * 1024;

/// A store in the memory of this process, with a size limit. When the store is full, it refuses new operations. It
/// drops no record before the record expires.
#[derive(Debug)]
pub struct MemoryStore {
    shards: [Mutex<Shard>; SHARDS],
    used: AtomicUsize,
    limit: usize,
    clock: Arc<dyn Clock>,
    /// The wall-clock time of the moment zero, which is read once, so that a moment always has the same time.
    began: SystemTime,
    windows: limits::Windows,
}

type Table = HashMap<OperationId, Held, BuildHasherDefault<AlreadyHashed>>;

/// One part of the operations, behind its own lock.
#[derive(Debug)]
struct Shard {
    records: Table,
    /// The revision of the next write. The revisions of a shard are `SHARDS` apart, so that no two shards share a
    /// revision.
    next: Revision,
    /// The size of the hash table in bytes. The table never shrinks.
    table: usize,
}

/// Why the store is full.
#[derive(Debug, thiserror::Error)]
#[error("its records have reached the limit of {0} bytes")]
struct LimitReached(usize);

#[derive(Debug)]
struct Held {
    revision: Revision,
    record: Arc<Record>,
    written: Moment,
    first_seen: Moment,
}

/// A time of the store's clock in nanoseconds, enough for 584 years. It is stored in 64 bits, so that an entry of the
/// table takes 64 bytes.
#[derive(Debug, Clone, Copy)]
struct Moment(u64);

impl MemoryStore {
    /// An empty store with a limit of 256 MiB.
    #[must_use]
    pub fn new() -> Self {
        Self::with(DEFAULT_LIMIT, Arc::new(SystemClock::new()))
    }

    /// An empty store with its own clock, which refuses new operations once its records take `limit` bytes.
    ///
    /// The limit counts the memory that is allocated for the records, including their hash tables. Operations that are
    /// already in the store can still be completed, so the store may exceed the limit by their responses.
    #[must_use]
    pub fn with(limit: usize, clock: Arc<dyn Clock>) -> Self {
        let began = clock.since_unix_epoch().saturating_sub(clock.monotonic());
        Self {
            shards: std::array::from_fn(|index| Mutex::new(Shard::new(index))),
            used: AtomicUsize::new(0),
            limit,
            began: UNIX_EPOCH.checked_add(began).unwrap_or(UNIX_EPOCH),
            clock,
            windows: limits::Windows::default(),
        }
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.clock.monotonic().as_nanos()).unwrap_or(u64::MAX))
    }

    fn shard(&self, id: &OperationId) -> MutexGuard<'_, Shard> {
        // The first byte selects the shard, because the hasher uses the last bytes of the id.
        lock(&self.shards[usize::from(id.as_bytes()[0]) % SHARDS])
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
        let shard = &mut *shard;
        let Some(held) = shard.records.get_mut(&id) else {
            return match expected {
                Some(_) => Ok(Swap::Gone),
                None => self.add(shard, id, new, now),
            };
        };
        if Some(held.revision) != expected {
            return Ok(held.answer(now));
        }
        let more = size::of_record(&new).wrapping_sub(size::of_record(&held.record));
        self.used.fetch_add(more, Ordering::Relaxed);
        held.record = new;
        held.written = now;
        if first_seen == FirstSeen::Reset {
            held.first_seen = now;
        }
        held.revision = take(&mut shard.next);
        Ok(Swap::Swapped(held.revision))
    }

    fn add(&self, shard: &mut Shard, id: OperationId, new: Arc<Record>, now: Moment) -> Result<Swap, StoreError> {
        let table = size::of_table_with_one_more(&shard.records, shard.table);
        let size = size::of_record(&new) + (table - shard.table);
        if self.used.fetch_add(size, Ordering::Relaxed) + size > self.limit {
            self.used.fetch_sub(size, Ordering::Relaxed);
            return Err(self.full());
        }
        shard.table = table;
        let revision = take(&mut shard.next);
        let held = Held {
            revision,
            record: new,
            written: now,
            first_seen: now,
        };
        shard.records.insert(id, held);
        Ok(Swap::Swapped(revision))
    }

    fn full(&self) -> StoreError {
        StoreError::Full {
            store: self.describe(),
            remedy: "wait for older records to expire, keep them for a shorter time (`ttl`), build the store with a higher limit (`MemoryStore::with`), or set OPERATOR_STORE=sqlite:PATH",
            source: Arc::new(LimitReached(self.limit)),
        }
    }

    fn sweep_now(&self, older_than: Duration, limit: u32) -> u32 {
        let now = self.now();
        let mut removed = 0;
        for shard in &self.shards {
            // The limit is reached, so the other shards need not be locked. The next sweep checks them.
            if removed == limit {
                break;
            }
            lock(shard).records.retain(|_, held| {
                let ages = held.ages(now);
                let remove = removed < limit && ages.since_first_seen > older_than && ages.since_written > older_than;
                if remove {
                    removed += 1;
                    self.used.fetch_sub(size::of_record(&held.record), Ordering::Relaxed);
                }
                !remove
            });
        }
        removed
    }

    fn list_now(&self, ids: &RangeInclusive<OperationId>, after: Option<&Cursor>, limit: u32) -> Page {
        let now = self.now();
        let is_meant = |id: &OperationId| {
            ids.contains(id) && after.is_none_or(|Cursor(after)| id.as_bytes().as_slice() > after.as_slice())
        };
        let mut records: Vec<Listed> = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            let meant = shard.records.iter().filter(|(id, _)| is_meant(id));
            records.extend(meant.map(|(id, held)| Listed {
                id: *id,
                revision: held.revision,
                record: Ok(Record::clone(&held.record)),
                ages: held.ages(now),
                times: Times {
                    first_seen: held.first_seen.as_time(self.began),
                    written: held.written.as_time(self.began),
                },
            }));
        }
        records.sort_unstable_by_key(|listed| listed.id);
        Page::of_ordered(records, limit)
    }

    fn count_now(&self, lease: Duration) -> Counts {
        let now = self.now();
        let mut counts = Counts::default();
        for shard in &self.shards {
            let shard = lock(shard);
            shard
                .records
                .values()
                .for_each(|held| counts.add(&held.record, held.ages(now), lease));
        }
        counts
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
            records: HashMap::default(),
            next: Revision(index as u64),
            table: 0,
        }
    }
}

fn take(next: &mut Revision) -> Revision {
    let revision = *next;
    next.0 += SHARDS as u64;
    revision
}

impl Moment {
    fn since(self, earlier: Self) -> Duration {
        // The subtraction saturates, because another thread may have written after this time was read.
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    fn as_time(self, began: SystemTime) -> SystemTime {
        began.checked_add(Duration::from_nanos(self.0)).unwrap_or(began)
    }
}

impl Held {
    fn ages(&self, now: Moment) -> Ages {
        Ages {
            since_written: now.since(self.written),
            since_first_seen: now.since(self.first_seen),
        }
    }

    fn answer(&self, now: Moment) -> Swap {
        Swap::Held {
            revision: self.revision,
            record: Arc::clone(&self.record),
            ages: self.ages(now),
        }
    }
}

impl Store for MemoryStore {
    fn swap(&self, proposal: Proposal) -> Step<'_, Result<Swap, StoreError>> {
        Step::Now(self.swap_now(proposal))
    }

    fn sweep(&self, older_than: Duration, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(async move { Ok(self.sweep_now(older_than, limit)) })
    }

    fn list(
        &self,
        ids: RangeInclusive<OperationId>,
        after: Option<Cursor>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(async move { Ok(self.list_now(&ids, after.as_ref(), limit)) })
    }

    fn count(&self, lease: Duration) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Box::pin(async move { Ok(self.count_now(lease)) })
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

/// A hasher that uses eight bytes of the operation id as the hash, because the id is already a SHA-256 hash.
#[derive(Debug, Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk() {
            self.0 = u64::from_ne_bytes(*last);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
