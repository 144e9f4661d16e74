//! Bounds how much serde does to decode a value of several forms.
//!
//! Serde reads an untagged enum into a buffer, and decodes the buffer as each variant until one variant fits. In a type
//! that contains itself, each level does this again for what is inside: it copies the inner buffer, and an inner value
//! that no variant fits makes each outer level try its other variants too. So the work can grow exponentially with the
//! depth. Serde also collects the fields of a struct with a flattened enum or map in a buffer: each level copies what is
//! inside, and two flattened enums each decode a field that both have. An enum with a tag is decoded once, but all its
//! fields are in a buffer at that time.
//!
//! A schema cannot say which values will not fit, because a type may refuse values in its own `try_from`. So the worst case
//! is counted before serde begins: that each variant decodes all its fields and then does not fit.

use super::document::{Buffer, Node};
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

/// In a text of at most this many bytes, no value of tagged enums takes more than [`BUFFERED`], because lists and objects
/// take less than 160 bytes for each byte, even if each is moved once.
pub(super) const SHORT: usize = 128 * 1024;

/// Whether serde can decode the value within the bounds, whatever the types of its parts refuse.
pub(super) fn are_few(rules: &Rules, value: Node<'_>) -> bool {
    let input = value.buffer().weight;
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
#[derive(Clone, Copy)]
struct Decoding<'v> {
    value: Node<'v>,
    rule: Id,
    /// If these are the flattened fields of a struct: that struct's rule. The struct reads its own fields itself.
    around: Option<Id>,
    /// The bytes in the buffers that exist while this value is decoded.
    buffered: usize,
    /// Whether the value is moved out of a buffer, so that what serde collects of it takes no more memory.
    is_moved: bool,
}

impl<'v> Decoding<'v> {
    /// The same value by another rule.
    fn by(self, rule: Id) -> Self {
        Self { rule, ..self }
    }

    /// A part of the value.
    fn part(self, value: Node<'v>, rule: Id) -> Self {
        Self {
            value,
            rule,
            around: None,
            ..self
        }
    }
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
        self.add(Decoding {
            value,
            rule: 0,
            around: None,
            buffered: 0,
            is_moved: false,
        })?;
        while let Some(next) = self.waiting.pop() {
            self.step(next)?;
        }
        Some(())
    }

    fn add(&mut self, decoding: Decoding<'c>) -> Option<()> {
        self.spend(1)?;
        // A value without further rules and without content is only counted.
        let is_more = |rule: &Rule| !rule.is_alone() || decoding.value.size() > 1;
        if self.rules.get(decoding.rule).is_some_and(is_more) {
            self.waiting.push(decoding);
        }
        Some(())
    }

    fn step(&mut self, mut decoding: Decoding<'c>) -> Option<()> {
        let Decoding { value, rule: id, .. } = decoding;
        let rules = self.rules;
        let Some(rule) = rules.get(id) else {
            return Some(());
        };
        // The same value by further rules, and then its parts.
        let mut same = decoding;
        if rule.is_collected {
            same.around = decoding.around.or(Some(id));
            let collected = self.collected(value, rule, decoding.around);
            self.spend(collected.weight)?;
            // A flattened enum is read from a copy of what was collected, and a flattened map from what was collected.
            // What is moved into the map is counted as a copy, so the count is higher than the memory that serde uses.
            let copies = if decoding.is_moved || rule.is_alone() { 1 } else { 2 };
            decoding.buffered = self.within(decoding.buffered + copies * collected.bytes)?;
            same.buffered = decoding.buffered;
            same.is_moved = true;
        }
        for rule in &rule.same {
            self.add(same.by(*rule))?;
        }
        for forms in &rule.forms {
            self.add_forms(forms, rule, same)?;
        }
        for (index, item) in value.items().enumerate() {
            if let Some(rule) = rule.first.get(index).or(rule.items.as_ref()) {
                self.add(decoding.part(item, *rule))?;
            }
        }
        // Serde also decodes a list as a struct, in the order of the fields in the type, which the schema does not say.
        for item in value.items().take(rule.fields.len()) {
            for rule in rule.fields.values() {
                self.add(decoding.part(item, *rule))?;
            }
        }
        for (name, field) in value.members() {
            rule.rules_of_field(&name, &mut self.of_field);
            if !rule.fields.contains_key(&*name) {
                self.of_field.extend(rule.unevaluated);
            }
            while let Some(rule) = self.of_field.pop() {
                self.add(decoding.part(field, rule))?;
            }
        }
        Some(())
    }

    /// Counts the buffer for a value of these forms of `rule`, and adds each form.
    fn add_forms(&mut self, forms: &Forms, rule: &Rule, mut decoding: Decoding<'c>) -> Option<()> {
        let value = decoding.value;
        self.spend(forms.forms.len())?;
        if forms.are_tried_in_turn {
            let buffer = match decoding.around {
                Some(_) => self.collected(value, rule, decoding.around),
                None => value.buffer(),
            };
            self.spend(buffer.weight)?;
            decoding.buffered = self.within(decoding.buffered + buffer.bytes)?;
            decoding.is_moved = false;
        } else if forms.are_tagged && decoding.around.is_none() {
            // The fields of a flattened enum are already counted as collected. What is inside a buffer is moved into the next
            // one, so only the list of the fields takes memory again.
            let bytes = if decoding.is_moved {
                value.room_of_members()
            } else {
                let buffer = value.buffer();
                self.spend(buffer.weight)?;
                buffer.bytes
            };
            decoding.buffered = self.within(decoding.buffered + bytes)?;
            decoding.is_moved = true;
        }
        let forms = forms
            .forms
            .iter()
            .filter(|form| !forms.only_one || form.has_its_tags(value));
        for form in forms {
            self.add(decoding.by(form.id))?;
        }
        Some(())
    }

    /// What serde collects of the value for the flattened fields of a struct: all but the fields of its rule, and of the rule
    /// of a struct around it.
    fn collected(&self, value: Node<'_>, rule: &Rule, around: Option<Id>) -> Buffer {
        let around = around.and_then(|around| self.rules.get(around));
        let own = rule.is_collected.then_some(rule);
        let is_own = |name: &str| own.into_iter().chain(around).any(|rule| rule.fields.contains_key(name));
        value.collected(|name| !is_own(name))
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
