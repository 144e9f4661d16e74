//! The memory that records take, in allocated bytes.

use std::mem::size_of;

use super::{Held, Table};
use crate::store::{OperationId, Record, Settlement, State};

/// The two reference counts of an `Arc`, which are stored before its value.
const COUNTS: usize = 2 * size_of::<usize>();
/// The memory that the crate `bytes` allocates when a body is first shared. The first replay shares the body.
const SHARING: usize = 3 * size_of::<usize>();

/// The size of a record, with everything that it owns.
pub(super) fn of_record(record: &Record) -> usize {
    let origin = (COUNTS + record.origin.as_text().len()).next_multiple_of(size_of::<usize>());
    let settlement = record.settlement.as_deref();
    let settlement = settlement.map_or(0, |settlement| {
        COUNTS + size_of::<Settlement>() + settlement.by.capacity()
    });
    let answer = match &record.state {
        State::Completed(response) => {
            let content_type = match &response.content_type {
                std::borrow::Cow::Borrowed(_) => 0,
                std::borrow::Cow::Owned(text) => text.capacity(),
            };
            response.body.len() + SHARING + content_type
        }
        State::InProgress | State::Released | State::NotKept | State::Unknown => 0,
    };
    COUNTS + size_of::<Record>() + origin + settlement + answer
}

/// The size of the hash table, which is `size` bytes now, after one more record is inserted.
///
/// The standard library does not document the size of its hash tables. The number of slots is a power of two, at most
/// seven in eight slots are used, and each slot has one control byte. A test compares this function with the allocator.
pub(super) fn of_table_with_one_more(table: &Table, size: usize) -> usize {
    const PLACE: usize = size_of::<(OperationId, Held)>() + 1;
    /// A lookup reads one group of control bytes at once, so the control bytes extend past the last slot.
    const GROUP: usize = 16;
    let places = size.saturating_sub(GROUP) / PLACE;
    let usable = if places < 8 {
        places.saturating_sub(1)
    } else {
        places / 8 * 7
    };
    let needed = table.len() + 1;
    // While half of the table is enough, the slots of removed records are reused and the table does not grow.
    if table.capacity() >= needed || needed <= usable / 2 {
        return size;
    }
    let places = match needed.max(usable + 1) {
        0..4 => 4,
        4..8 => 8,
        8..15 => 16,
        needed => (needed * 8 / 7).next_power_of_two(),
    };
    places * PLACE + GROUP
}
