//! Records as a person looks through them: page by page, and counted.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Ages, BoxFuture, DecodeError, OperationId, Record, Revision, State, Store, StoreError};

#[cfg(feature = "redis")]
use crate::record::{IN_PROGRESS, SETTLED, UNKNOWN};

/// How many records are asked for at a time.
const PAGE: u32 = 200;

/// A record that a store has found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Whose record it is.
    pub id: OperationId,
    /// What to expect where it is to be written.
    pub revision: Revision,
    /// What is held, unless what the store has is no record, or one of another version.
    pub record: Result<Record, DecodeError>,
    /// How old it is on the store's clock.
    pub ages: Ages,
}

impl Listed {
    /// A record as a store has found it.
    #[must_use]
    pub fn new(id: OperationId, revision: Revision, record: Result<Record, DecodeError>, ages: Ages) -> Self {
        Self {
            id,
            revision,
            record,
            ages,
        }
    }
}

/// Where a store goes on with a list; what it means is the store's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub Vec<u8>);

/// Some of the records.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// They may be none, although more follow.
    pub records: Vec<Listed>,
    /// Where the next page begins, unless this is the last.
    pub next: Option<Cursor>,
}

impl Page {
    /// These records, and where the next page begins, unless this is the last.
    #[must_use]
    pub fn new(records: Vec<Listed>, next: Option<Cursor>) -> Self {
        Self { records, next }
    }

    /// The first `limit` of these records, which are ordered by their ids, for a store whose cursor is the last id.
    pub(super) fn of_ordered(mut records: Vec<Listed>, limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let is_last = records.len() < limit;
        records.truncate(limit);
        let last = records.last().filter(|_| !is_last);
        Self {
            next: last.map(|listed| Cursor(listed.id.as_bytes().to_vec())),
            records,
        }
    }
}

/// How many records a store holds. A store begins with `Counts::default()` and sets what it has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// All of them.
    pub held: u64,
    /// Those whose outcome is unknown, since a retry has asked for them or their attempt has ended so.
    pub unknown: u64,
    /// Those whose attempt was lost, and that nobody has asked for again: where it may not run again, their outcome is
    /// unknown too.
    pub lost: u64,
    /// Those that a person has settled, whatever has become of them since.
    pub settled: u64,
}

impl Counts {
    pub(super) fn add(&mut self, record: &Record, ages: Ages, lease: Duration) {
        self.held += 1;
        self.unknown += u64::from(record.state == State::Unknown);
        self.lost += u64::from(record.state == State::InProgress && ages.since_written >= lease);
        self.settled += u64::from(record.settlement.is_some());
    }

    /// As [`add`](Self::add), by the second byte of a record.
    #[cfg(feature = "redis")]
    pub(super) fn add_tagged(&mut self, tag: u8, since_written: Duration, lease: Duration) {
        let state = tag & !SETTLED;
        self.held += 1;
        self.unknown += u64::from(state == UNKNOWN);
        self.lost += u64::from(state == IN_PROGRESS && since_written >= lease);
        self.settled += u64::from(tag & SETTLED != 0);
    }

    /// By reading every record, for a store that has no better way.
    pub(super) fn by_reading<S: Store + ?Sized>(store: &S, lease: Duration) -> BoxFuture<'_, Result<Self, StoreError>> {
        let mut records = Records::of(store, OperationId::all());
        Box::pin(async move {
            let mut counts = Self::default();
            while let Some(listed) = records.next().await? {
                match &listed.record {
                    Ok(record) => counts.add(record, listed.ages, lease),
                    Err(_) => counts.held += 1,
                }
            }
            Ok(counts)
        })
    }
}

/// The records of a store one after the other, read page by page.
pub(crate) struct Records<'s, S: ?Sized> {
    store: &'s S,
    ids: RangeInclusive<OperationId>,
    read: VecDeque<Listed>,
    next: Next,
}

enum Next {
    First,
    After(Cursor),
    End,
}

impl<'s, S: Store + ?Sized> Records<'s, S> {
    pub(crate) fn of(store: &'s S, ids: RangeInclusive<OperationId>) -> Self {
        Self {
            store,
            ids,
            read: VecDeque::new(),
            next: Next::First,
        }
    }

    /// `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Listed>, StoreError> {
        while self.read.is_empty() {
            let after = match std::mem::replace(&mut self.next, Next::End) {
                Next::First => None,
                Next::After(cursor) => Some(cursor),
                Next::End => return Ok(None),
            };
            let page = self.store.list(self.ids.clone(), after, PAGE).await?;
            self.read.extend(page.records);
            self.next = page.next.map_or(Next::End, Next::After);
        }
        Ok(self.read.pop_front())
    }
}
