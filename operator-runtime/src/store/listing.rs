//! Listing and counting the records of a store, for people who look through them.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Ages, BoxFuture, DecodeError, OperationId, Record, Revision, State, Store, StoreError, Times};

use crate::record::{IN_PROGRESS, SETTLED, UNKNOWN};

/// How many records one request to the store asks for.
const PAGE: u32 = 200;

/// A record in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// The operation of the record.
    pub id: OperationId,
    /// The revision to expect when the record is written.
    pub revision: Revision,
    /// The record, or the reason why the bytes in the store cannot be read as a record.
    pub record: Result<Record, DecodeError>,
    /// The ages of the record by the store's clock.
    pub ages: Ages,
    /// The times of the record, for people.
    pub times: Times,
}

impl Listed {
    /// A record as a store returns it in a list.
    #[must_use]
    pub fn new(
        id: OperationId,
        revision: Revision,
        record: Result<Record, DecodeError>,
        ages: Ages,
        times: Times,
    ) -> Self {
        Self {
            id,
            revision,
            record,
            ages,
            times,
        }
    }
}

/// Where the next page of a list begins. Only the store knows the meaning of these bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub Vec<u8>);

/// One page of records.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The records. A page may be empty although further pages have records.
    pub records: Vec<Listed>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<Cursor>,
}

impl Page {
    /// A page with these records. `next` is where the next page begins, and `None` on the last page.
    #[must_use]
    pub fn new(records: Vec<Listed>, next: Option<Cursor>) -> Self {
        Self { records, next }
    }

    /// A page of the first `limit` records, for a store whose cursor is the id of a page's last record. The records
    /// must be ordered by id.
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

/// The number of records in a store. A store begins with `Counts::default()` and sets what it has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// All records.
    pub held: u64,
    /// Records with the state `Unknown`: an attempt ended with an unknown outcome, or a retry found that it was lost.
    pub unknown: u64,
    /// Records whose attempt was lost and that no retry has asked for since. If the handler must not run again, the
    /// outcome of such an operation is unknown too.
    pub lost: u64,
    /// Records that a person has settled, whatever their state is now.
    pub settled: u64,
}

impl Counts {
    fn add(&mut self, record: &Record, ages: Ages, lease: Duration) {
        self.held += 1;
        self.unknown += u64::from(record.state == State::Unknown);
        self.lost += u64::from(record.state == State::InProgress && ages.since_written >= lease);
        self.settled += u64::from(record.settlement.is_some());
    }

    /// Like [`add`](Self::add), from the second byte of a record.
    pub(super) fn add_tagged(&mut self, tag: u8, since_written: Duration, lease: Duration) {
        let state = tag & !SETTLED;
        self.held += 1;
        self.unknown += u64::from(state == UNKNOWN);
        self.lost += u64::from(state == IN_PROGRESS && since_written >= lease);
        self.settled += u64::from(tag & SETTLED != 0);
    }

    /// Counts by reading every record, for a store that has no faster way.
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

/// Iterates over the records of a store, and reads them page by page.
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

    /// The next record; `None` after the last one.
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
