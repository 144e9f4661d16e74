//! Bounds how much serde does to decode a value of several forms.
//!
//! Serde reads an untagged enum into a buffer, and decodes the buffer as each variant until one variant fits. In a type
//! that contains itself, each level does this again for what is inside: it copies the inner buffer, and an inner value
//! that no variant fits makes each outer level try its other variants too. So the work can grow exponentially with the
//! depth. Serde also collects the fields of a struct with a flattened enum or map in a buffer, and copies what is inside at
//! each level, and two flattened enums each decode a field that both have. A schema cannot say which values will not fit, because a type may refuse values in its own `try_from`. So the
//! worst case is counted before serde begins: that each variant decodes all its fields and then does not fit.

use super::document::Node;
use super::rules::{Forms, Id, Rule, Rules};

/// The steps that any value may take: one for each value that a variant decodes or a buffer copies. They take a few
/// milliseconds.
const STEPS: usize = 32 * 1024;

/// The further steps for each value and name in the input, besides two for each form of the enum with most forms. Each
/// value is in the buffers of all levels around it. Without these steps, a long value of simple forms would be refused.
const STEPS_PER_VALUE: usize = 16;

/// All buffers together may take this many bytes at one time, and [`BUFFERED_PER_BYTE`] for each byte of the input. A
/// refusal may take 32 MiB and 32 bytes for each byte; the rest is for the index of the input and its copies.
const BUFFERED: usize = 24 * 1024 * 1024;
const BUFFERED_PER_BYTE: usize = 24;

/// Whether serde can decode the value within the bounds, whatever the types of its parts refuse.
pub(super) fn are_few(rules: &Rules, value: Node<'_>) -> bool {
    let input = value.weight();
    let mut counting = Counting {
        rules,
        steps_left: STEPS + (2 * rules.most_forms() + STEPS_PER_VALUE) * input,
        most_buffered: BUFFERED + BUFFERED_PER_BYTE * value.length_of_document(),
        waiting: Vec::new(),
        of_field: Vec::new(),
    };
    counting.count(value).is_some()
}

/// A value that serde decodes by a rule. If a place is decoded several times, each time is counted.
struct Decoding<'v> {
    value: Node<'v>,
    rule: Id,
    /// The bytes in the buffers that exist meanwhile.
    buffered: usize,
}

struct Counting<'c> {
    rules: &'c Rules,
    steps_left: usize,
    most_buffered: usize,
    waiting: Vec<Decoding<'c>>,
    /// The rules of one field. Kept, so that they are not allocated for each object.
    of_field: Vec<Id>,
}

impl<'c> Counting<'c> {
    /// Counts everything, or returns `None` as soon as it is too much.
    fn count(&mut self, value: Node<'c>) -> Option<()> {
        self.add(value, 0, 0)?;
        while let Some(next) = self.waiting.pop() {
            self.step(&next)?;
        }
        Some(())
    }

    fn add(&mut self, value: Node<'c>, rule: Id, buffered: usize) -> Option<()> {
        self.spend(1)?;
        // A value without further rules and without content is only counted.
        let is_more = |rule: &Rule| !rule.is_alone() || value.size() > 1;
        if self.rules.get(rule).is_some_and(is_more) {
            self.waiting.push(Decoding { value, rule, buffered });
        }
        Some(())
    }

    fn step(&mut self, decoding: &Decoding<'c>) -> Option<()> {
        let &Decoding { value, rule, buffered } = decoding;
        let rules = self.rules;
        let Some(rule) = rules.get(rule) else {
            return Some(());
        };
        let buffered = if rule.is_collected {
            let collected = value.without(&rule.fields);
            self.spend(collected.weight)?;
            // What the outermost level collects is kept beside its copy. The copy of each level is what the next level collects.
            let copies = if buffered == 0 { 2 } else { 1 };
            self.within(buffered + copies * collected.bytes_in_a_buffer)?
        } else {
            buffered
        };
        for same in &rule.same {
            self.add(value, *same, buffered)?;
        }
        for forms in &rule.forms {
            let buffered = self.buffer(forms, value)? + buffered;
            let buffered = self.within(buffered)?;
            for form in forms
                .forms
                .iter()
                .filter(|form| !forms.only_one || form.has_its_tags(value))
            {
                self.add(value, form.id, buffered)?;
            }
        }
        for (index, item) in value.items().enumerate() {
            if let Some(rule) = rule.first.get(index).or(rule.items.as_ref()) {
                self.add(item, *rule, buffered)?;
            }
        }
        // Serde also decodes a list as a struct, in the order of the fields in the type, which the schema does not say.
        for item in value.items().take(rule.fields.len()) {
            for rule in rule.fields.values() {
                self.add(item, *rule, buffered)?;
            }
        }
        for (name, field) in value.members() {
            rule.rules_of_field(&name, &mut self.of_field);
            while let Some(rule) = self.of_field.pop() {
                self.add(field, rule, buffered)?;
            }
        }
        Some(())
    }

    /// Counts the buffer for a value of these forms, and each form. Returns the bytes in the buffer.
    fn buffer(&mut self, forms: &Forms, value: Node<'_>) -> Option<usize> {
        self.spend(forms.forms.len())?;
        if !forms.are_tried_in_turn() {
            return Some(0);
        }
        self.spend(value.weight())?;
        Some(value.bytes_in_a_buffer())
    }

    /// The bytes in the buffers, if they are not too many.
    fn within(&self, buffered: usize) -> Option<usize> {
        (buffered <= self.most_buffered).then_some(buffered)
    }

    fn spend(&mut self, steps: usize) -> Option<()> {
        self.steps_left = self.steps_left.checked_sub(steps)?;
        Some(())
    }
}
