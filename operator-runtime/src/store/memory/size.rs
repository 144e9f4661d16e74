//! What records take of the process's memory, in bytes that the allocator hands out.

use std::mem::size_of;

use super::{Held, Table};
use crate::store::{OperationId, Record, Settlement, State};

/// The two counts of an `Arc`, which come before its value.
const COUNTS: usize = 2 * size_of::<usize>();
/// What `bytes` allocates when a body is first shared, which its first replay does.
const SHARING: usize = 3 * size_of::<usize>();

/// The record, with everything that it owns.
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

/// The table of `size` bytes once one more record is in it.
///
/// The standard library does not say what its tables take: they have a power of two of places, of which seven in eight
/// are used, and a byte for each place beside it. A test holds this against the allocator.
pub(super) fn of_table_with_one_more(table: &Table, size: usize) -> usize {
    const PLACE: usize = size_of::<(OperationId, Held)>() + 1;
    /// What is looked at together goes past the last place.
    const GROUP: usize = 16;
    let places = size.saturating_sub(GROUP) / PLACE;
    let usable = if places < 8 {
        places.saturating_sub(1)
    } else {
        places / 8 * 7
    };
    let needed = table.len() + 1;
    // Places of removed records are taken up again, not added to, while half of the table is enough.
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
