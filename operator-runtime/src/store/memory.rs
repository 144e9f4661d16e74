//! Records in this process: for tests and for programs that mostly read. Nothing outlives the process.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{
    Ages, BoxFuture, Counts, Cursor, FirstSeen, Listed, OperationId, Page, Record, Revision, State, Step, Store,
    StoreError, Swap,
};
use crate::clock::{Clock, SystemClock};

/// Enough that callers hardly meet, and few, because each table that grows makes a pause of its own.
const SHARDS: usize = 16;
/// What a record costs besides its answer's body.
const RECORD_SIZE: usize = 256;
const DEFAULT_LIMIT: usize = 256 * 1024 * 1024;

/// Records in this process's memory, bounded: when it is full, new operations are refused, and no record is dropped
/// before it expires.
#[derive(Debug)]
pub struct MemoryStore {
    shards: [Mutex<Shard>; SHARDS],
    used: AtomicUsize,
    limit: usize,
    clock: Arc<dyn Clock>,
}

/// Some of the operations.
#[derive(Debug)]
struct Shard {
    records: HashMap<OperationId, Held, BuildHasherDefault<AlreadyHashed>>,
    /// The next writing's. Those of each shard are `SHARDS` apart, so that no two shards share one.
    next: Revision,
}

#[derive(Debug)]
struct Held {
    revision: Revision,
    record: Arc<Record>,
    written: Moment,
    first_seen: Moment,
}

/// A time of the store's clock in nanoseconds, which last for 584 years, so that an entry of the table is 64 bytes.
#[derive(Debug, Clone, Copy)]
struct Moment(u64);

impl MemoryStore {
    /// An empty store of at most 256 MiB.
    #[must_use]
    pub fn new() -> Self {
        Self::with(DEFAULT_LIMIT, Arc::new(SystemClock::new()))
    }

    /// An empty store that adds no operation once its records take `limit` bytes, with its own clock.
    ///
    /// Operations that are already in it are still completed, so it may grow past that by the answers of those.
    #[must_use]
    pub fn with(limit: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            shards: std::array::from_fn(|index| Mutex::new(Shard::new(index))),
            used: AtomicUsize::new(0),
            limit,
            clock,
        }
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.clock.monotonic().as_nanos()).unwrap_or(u64::MAX))
    }

    fn shard(&self, id: &OperationId) -> MutexGuard<'_, Shard> {
        // The hasher takes the last bytes of the id, so the shard takes the first.
        lock(&self.shards[usize::from(id.as_bytes()[0]) % SHARDS])
    }

    fn swap_now(
        &self,
        id: OperationId,
        expected: Option<Revision>,
        new: Arc<Record>,
        first_seen: FirstSeen,
    ) -> Result<Swap, StoreError> {
        let now = self.now();
        let mut shard = self.shard(&id);
        let Shard { records, next } = &mut *shard;
        match (records.entry(id), expected) {
            (Entry::Vacant(_), Some(_)) => Ok(Swap::Gone),
            (Entry::Vacant(vacant), None) => {
                let size = size(&new);
                if self.used.fetch_add(size, Ordering::Relaxed) + size > self.limit {
                    self.used.fetch_sub(size, Ordering::Relaxed);
                    return Err(StoreError::Full { limit: self.limit });
                }
                let revision = take(next);
                vacant.insert(Held {
                    revision,
                    record: new,
                    written: now,
                    first_seen: now,
                });
                Ok(Swap::Swapped(revision))
            }
            (Entry::Occupied(mut occupied), expected) => {
                let held = occupied.get_mut();
                if Some(held.revision) != expected {
                    return Ok(held.answer(now));
                }
                let more = size(&new).wrapping_sub(size(&held.record));
                self.used.fetch_add(more, Ordering::Relaxed);
                held.revision = take(next);
                held.record = new;
                held.written = now;
                if first_seen == FirstSeen::Reset {
                    held.first_seen = now;
                }
                Ok(Swap::Swapped(held.revision))
            }
        }
    }

    fn sweep_now(&self, older_than: Duration, limit: u32) -> u32 {
        let now = self.now();
        let mut removed = 0;
        for shard in &self.shards {
            // What is left is looked at by the next sweep, and holds nobody up now.
            if removed == limit {
                break;
            }
            lock(shard).records.retain(|_, held| {
                let ages = held.ages(now);
                let remove = removed < limit && ages.since_first_seen > older_than && ages.since_written > older_than;
                if remove {
                    removed += 1;
                    self.used.fetch_sub(size(&held.record), Ordering::Relaxed);
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
        // Another thread may have written after this was read.
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
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
    fn swap(
        &self,
        id: OperationId,
        expected: Option<Revision>,
        new: Arc<Record>,
        first_seen: FirstSeen,
    ) -> Step<'_, Result<Swap, StoreError>> {
        Step::Now(self.swap_now(id, expected, new, first_seen))
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

    fn describe(&self) -> String {
        "this process's memory".to_owned()
    }

    fn warning(&self) -> Option<String> {
        Some("Idempotency records are in memory only: after a restart, a retry runs again; set OPERATOR_STORE=sqlite:PATH to keep them.".to_owned())
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // Nothing that can panic runs between two writes to a shard.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn size(record: &Record) -> usize {
    RECORD_SIZE
        + if let State::Completed(response) = &record.state {
            response.body.len()
        } else {
            0
        }
}

/// Operation ids are SHA-256 already; eight of their bytes are hash enough.
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
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::store::{Fingerprint, Origin, contract};

    fn store(limit: usize) -> (Arc<ManualClock>, MemoryStore) {
        let clock = Arc::new(ManualClock::at(Duration::from_secs(1_000_000)));
        (clock.clone(), MemoryStore::with(limit, clock))
    }

    #[tokio::test]
    async fn it_keeps_the_contract() {
        let (clock, store) = store(usize::MAX);
        contract::check(&store, async |by| clock.advance(by)).await;
        ::tests::proof::Row::of_the_contract("memory").record();
    }

    #[tokio::test]
    async fn full_refuses_new_operations_until_old_ones_are_swept() {
        let (clock, store) = store(2 * RECORD_SIZE);
        let record = Arc::new(Record::first(Fingerprint::new("POST", "/", "", b""), Origin::default()));
        let claim = |key| {
            store.swap_now(
                OperationId::new("tenant", key),
                None,
                Arc::clone(&record),
                FirstSeen::Keep,
            )
        };
        assert!(matches!(
            (claim("1"), claim("2")),
            (Ok(Swap::Swapped(_)), Ok(Swap::Swapped(_)))
        ));
        assert!(matches!(claim("3"), Err(StoreError::Full { .. })));
        assert!(
            matches!(claim("1"), Ok(Swap::Held { .. })),
            "what is held is still answered"
        );
        clock.advance(Duration::from_secs(2));
        assert_eq!(store.sweep(Duration::from_secs(1), 1).await.expect("sweeps"), 1);
        assert!(matches!(claim("3"), Ok(Swap::Swapped(_))));
    }
}
