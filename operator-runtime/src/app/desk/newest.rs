//! The newest of many rows, in memory that the limit bounds.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::store::OperationId;

/// The newest rows, up to a limit, each with the time when its operation was first seen.
pub(in crate::app) struct Newest<R> {
    kept: BTreeMap<(SystemTime, OperationId), R>,
    limit: usize,
    /// How many rows were added, including those that were removed again.
    all: usize,
}

impl<R> Newest<R> {
    pub(in crate::app) fn new(limit: usize) -> Self {
        Self {
            kept: BTreeMap::new(),
            limit,
            all: 0,
        }
    }

    pub(in crate::app) fn add(&mut self, first_seen: SystemTime, id: OperationId, row: R) {
        self.all += 1;
        self.kept.insert((first_seen, id), row);
        if self.kept.len() > self.limit {
            self.kept.pop_first();
        }
    }

    /// How many rows were added.
    pub(in crate::app) fn all(&self) -> usize {
        self.all
    }

    /// The newest row comes first.
    pub(in crate::app) fn in_order(self) -> impl Iterator<Item = R> {
        self.kept.into_values().rev()
    }
}
