//! What the store in memory has of one operation, and the memory that it takes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::store::{Ages, DecodeError, Listed, OperationId, Record, Revision, Swap, Times};

/// A record and its times. The record is in the form in which the other stores write it, because in that form it is one
/// allocation and takes about half of the memory.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: OperationId,
    pub(super) revision: Revision,
    pub(super) written: Moment,
    pub(super) first_seen: Moment,
    pub(super) record: Box<[u8]>,
}

/// A time of the store's clock in nanoseconds, enough for 584 years.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(pub(super) u64);

pub(super) fn encode(record: &Record) -> Box<[u8]> {
    record.encode().into_boxed_slice()
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
    /// The allocated bytes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.record.len()
    }

    pub(super) fn ages(&self, now: Moment) -> Ages {
        Ages {
            since_written: now.since(self.written),
            since_first_seen: now.since(self.first_seen),
        }
    }

    /// The second byte of the record, which holds its state and whether it is settled.
    pub(super) fn tag(&self) -> u8 {
        self.record.get(1).copied().unwrap_or_default()
    }

    fn record(&self) -> Result<Record, DecodeError> {
        Record::decode_copy(&self.record)
    }

    pub(super) fn answer(&self, now: Moment) -> Result<Swap, DecodeError> {
        Ok(Swap::Held {
            revision: self.revision,
            record: Arc::new(self.record()?),
            ages: self.ages(now),
        })
    }

    pub(super) fn listed(&self, now: Moment, began: SystemTime) -> Listed {
        Listed {
            id: self.id,
            revision: self.revision,
            record: self.record(),
            ages: self.ages(now),
            times: Times {
                first_seen: self.first_seen.as_time(began),
                written: self.written.as_time(began),
            },
        }
    }
}
