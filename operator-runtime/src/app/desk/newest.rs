//! The newest of many rows, in memory that the limit bounds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The newest rows, up to a limit. Rows are ordered by age.
pub(in crate::app) struct Newest<R> {
    /// The oldest row is at the top, so that it can be removed first.
    kept: BinaryHeap<Reverse<R>>,
    limit: usize,
    /// How many rows were added, including those that were removed again.
    all: usize,
}

impl<R: Ord> Newest<R> {
    pub(in crate::app) fn new(limit: usize) -> Self {
        Self {
            kept: BinaryHeap::new(),
            limit,
            all: 0,
        }
    }

    pub(in crate::app) fn add(&mut self, row: R) {
        self.all += 1;
        self.kept.push(Reverse(row));
        if self.kept.len() > self.limit {
            self.kept.pop();
        }
    }

    /// How many rows were added.
    pub(in crate::app) fn all(&self) -> usize {
        self.all
    }

    /// The newest row comes first.
    pub(in crate::app) fn in_order(self) -> Vec<R> {
        let sorted = self.kept.into_sorted_vec().into_iter();
        sorted.map(|Reverse(row)| row).collect()
    }
}
