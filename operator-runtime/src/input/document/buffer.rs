//! What a value takes in the buffer in which serde keeps it, if it decodes the value from there.

use std::borrow::Cow;

use super::{Entry, Kind, Node};

/// The size of a value in serde's buffer. A field is a pair of values.
const VALUE: usize = 32;

/// What some values take in a buffer, at most.
#[derive(Clone, Copy, Default)]
pub(in crate::input) struct Buffer {
    /// The number of values and names. A string with escapes counts for each 32 bytes, because it cannot be borrowed from
    /// the text.
    pub(in crate::input) weight: usize,
    pub(in crate::input) bytes: usize,
}

impl Buffer {
    /// Adds a string, which has `escaped` bytes if it has escapes.
    fn add_string(&mut self, escaped: usize) {
        self.weight += 1 + escaped / 32;
        self.bytes += escaped;
    }

    fn add_value(&mut self, value: Node<'_>) {
        self.bytes += VALUE;
        let Node::At(document, index) = value else {
            self.weight += 1;
            return;
        };
        for entry in document.inside(index) {
            let Entry { kind, extent, .. } = *entry;
            match kind {
                Kind::Escaped => {
                    self.add_string(document.slice(*entry).len());
                    continue;
                }
                Kind::List => self.bytes += room(extent as usize),
                Kind::Object => self.bytes += 2 * room(extent as usize),
                Kind::Null | Kind::Boolean | Kind::Number | Kind::Plain => {}
            }
            self.weight += 1;
        }
    }
}

impl Node<'_> {
    /// What this value takes.
    pub(in crate::input) fn buffer(self) -> Buffer {
        let mut buffer = Buffer::default();
        buffer.add_value(self);
        buffer
    }

    /// What the list of an object's fields takes, without what is inside.
    pub(in crate::input) fn room_of_members(self) -> usize {
        2 * room(self.members().size_hint().0)
    }

    /// What the fields of an object take for whose names `is_collected` is true.
    pub(in crate::input) fn collected(self, is_collected: impl Fn(&str) -> bool) -> Buffer {
        let mut buffer = Buffer::default();
        let mut count = 0;
        for (name, field) in self.members().filter(|(name, _)| is_collected(name)) {
            buffer.add_string(match name {
                Cow::Owned(name) => name.len(),
                Cow::Borrowed(_) => 0,
            });
            buffer.add_value(field);
            count += 1;
        }
        buffer.bytes += 2 * room(count);
        buffer
    }
}

/// The bytes that a list of this many values takes. Lists and fields are `Vec`s, which have room for at least four items and
/// grow to twice their size.
fn room(count: usize) -> usize {
    match count {
        0 => 0,
        count => VALUE * count.next_power_of_two().max(4),
    }
}
