//! An index of JSON text: one small entry for each value, without copying the text.
//!
//! A tree of `serde_json::Value`s takes up to ninety times the memory of its text (an object with one field takes 640
//! bytes), so that a caller could fill the memory with one body. Here each value takes 16 bytes, and its text at least
//! one.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node as JsonNode, NodeIdentity, Object};
use serde_json::{Number, Value};

use super::found::shortened;

/// The largest nesting depth of lists and objects, as in `serde_json`.
const DEEPEST: usize = 127;

/// A JSON text and the positions of its values.
pub(crate) struct Document<'b> {
    text: &'b str,
    entries: Vec<Entry>,
    /// Whether any number is written with a fraction or an exponent.
    has_fractions: bool,
    /// Computed for schemas with `uniqueItems`.
    hashes: OnceCell<Vec<Hash>>,
}

/// One value. The entries of its items or fields follow it. A field has two entries: its name and its value.
#[derive(Clone, Copy)]
struct Entry {
    kind: Kind,
    /// The start of the value in the text.
    start: u32,
    /// For a scalar, its end in the text; for a list or an object, the number of its items or fields.
    extent: u32,
    /// The index of the next entry that is not inside this value.
    next: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Boolean,
    Number,
    /// A string without escapes; its quotes are not part of the entry.
    Plain,
    /// A string with escapes; its quotes are part of the entry.
    Escaped,
    List,
    Object,
}

/// Why a text that is valid by the JSON grammar cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// A number that is too large for an `f64`.
    Number,
    /// Half of a surrogate pair.
    Surrogate,
    /// Too many levels of nesting.
    Depth,
    /// An object with a duplicate field. JSON readers differ in which of the two values they use (RFC 8259 §4).
    Twice(String),
    /// More than 4 GiB, or not JSON.
    Text,
}

impl<'b> Document<'b> {
    /// Indexes a text that is valid by the JSON grammar, such as a `RawValue`.
    pub(super) fn of(text: &'b str) -> Result<Self, Unreadable> {
        Self::nested_in(0, text)
    }

    /// As [`of`](Self::of), for a text that will be nested in `levels` lists or objects.
    pub(super) fn nested_in(levels: usize, text: &'b str) -> Result<Self, Unreadable> {
        u32::try_from(text.len()).map_err(|_| Unreadable::Text)?;
        // Each value except the first follows one of these bytes, so the entries need only one allocation.
        let separators = text.bytes().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{'));
        let mut index = Index {
            text,
            entries: Vec::with_capacity(1 + separators.count()),
            has_fractions: false,
            deepest: DEEPEST - levels.min(DEEPEST),
        };
        index.read()?;
        Ok(Self {
            text,
            entries: index.entries,
            has_fractions: index.has_fractions,
            hashes: OnceCell::new(),
        })
    }

    pub(super) fn root(&self) -> Node<'_> {
        self.node(0)
    }

    fn node(&self, index: u32) -> Node<'_> {
        Node::At(self, index)
    }

    fn entry(&self, index: u32) -> Entry {
        self.entries.get(index as usize).copied().unwrap_or(Entry {
            kind: Kind::Null,
            start: 0,
            extent: 0,
            next: index.saturating_add(1),
        })
    }

    fn slice(&self, entry: Entry) -> &str {
        slice(self.text, entry)
    }

    fn string(&self, entry: Entry) -> Cow<'_, str> {
        string(self.text, entry)
    }

    /// The text with whole numbers such as `5.0`, `5e0` and `-0` rewritten without fraction and exponent; `None` if
    /// there are none.
    pub(super) fn with_whole_numbers(&self) -> Option<String> {
        if !self.has_fractions {
            return None;
        }
        let mut text = String::with_capacity(self.text.len());
        let mut written = 0;
        for entry in self.entries.iter().filter(|entry| entry.kind == Kind::Number) {
            if let Some(whole) = whole(self.slice(*entry)) {
                text.push_str(self.text.get(written..entry.start as usize).unwrap_or_default());
                text.push_str(&whole);
                written = entry.extent as usize;
            }
        }
        text.push_str(self.text.get(written..).unwrap_or_default());
        (written > 0).then_some(text)
    }
}

fn slice(text: &str, entry: Entry) -> &str {
    text.get(entry.start as usize..entry.extent as usize)
        .unwrap_or_default()
}

fn string(text: &str, entry: Entry) -> Cow<'_, str> {
    match entry.kind {
        Kind::Escaped => Cow::Owned(serde_json::from_str(slice(text, entry)).unwrap_or_default()),
        _ => Cow::Borrowed(slice(text, entry)),
    }
}

/// The exact digits of a whole number that is written with a fraction or an exponent; `None` if the number is not
/// whole, or too large for every integer type of Rust.
fn whole(number: &str) -> Option<String> {
    /// The digits of the largest `u128`.
    const MOST: i64 = 39;
    if !is_fraction(number) {
        return None;
    }
    let (number, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (sign, number) = number.strip_prefix('-').map_or(("", number), |number| ("-", number));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{}", fraction.trim_end_matches('0'));
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    let exponent: i64 = exponent.parse().ok()?;
    // The number of digits before the decimal point.
    let length = i64::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let zeros = length.checked_sub(i64::try_from(digits.len()).ok()?)?;
    if zeros >= 0 {
        let zeros = usize::try_from(zeros).ok().filter(|_| length <= MOST)?;
        return Some(format!("{sign}{significant}{}", "0".repeat(zeros)));
    }
    // As in `1000e-2`: the digits after the decimal point must be zeros.
    let behind = usize::try_from(-zeros).ok()?;
    let (before, behind) = significant.split_at_checked(significant.len().checked_sub(behind)?)?;
    (!before.is_empty() && behind.bytes().all(|digit| digit == b'0')).then(|| format!("{sign}{before}"))
}

/// Whether a number is written with a fraction or an exponent. -0 is included, because `serde_json` reads -0 as a
/// float.
fn is_fraction(number: &str) -> bool {
    number == "-0" || number.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

/// Builds the entries, without recursion.
struct Index<'b> {
    text: &'b str,
    entries: Vec<Entry>,
    has_fractions: bool,
    /// The largest nesting depth.
    deepest: usize,
}

impl Index<'_> {
    fn read(&mut self) -> Result<(), Unreadable> {
        let bytes = self.text.as_bytes();
        let mut open: Vec<usize> = Vec::new();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            at = match byte {
                b'[' | b'{' => {
                    if open.len() == self.deepest {
                        return Err(Unreadable::Depth);
                    }
                    let kind = if *byte == b'[' { Kind::List } else { Kind::Object };
                    self.count(&open);
                    open.push(self.entries.len());
                    self.push(kind, at, 0);
                    at + 1
                }
                b']' | b'}' => {
                    let container = open.pop().ok_or(Unreadable::Text)?;
                    self.close(container)?;
                    at + 1
                }
                b'"' => {
                    let end = self.string(at)?;
                    // A string before a colon is a field's name, which is not counted in addition to its value.
                    if bytes.get(end..).is_none_or(|rest| first_of(rest) != Some(b':')) {
                        self.count(&open);
                    }
                    end
                }
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' => at + 1,
                _ => {
                    let end = self.scalar(at)?;
                    self.count(&open);
                    end
                }
            };
        }
        if open.is_empty() && !self.entries.is_empty() {
            Ok(())
        } else {
            Err(Unreadable::Text)
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "no text is longer than a u32 says")]
    fn push(&mut self, kind: Kind, start: usize, extent: usize) {
        let next = self.entries.len() as u32 + 1;
        self.entries.push(Entry {
            kind,
            start: start as u32,
            extent: extent as u32,
            next,
        });
    }

    /// Counts one more item or field of the innermost list or object.
    fn count(&mut self, open: &[usize]) {
        if let Some(container) = open.last().and_then(|container| self.entries.get_mut(*container)) {
            container.extent += 1;
        }
    }

    /// Ends a list or an object, and refuses duplicate fields.
    fn close(&mut self, container: usize) -> Result<(), Unreadable> {
        /// Up to this many names are compared in pairs, which is faster than sorting them.
        const FEW: usize = 8;
        #[allow(clippy::cast_possible_truncation, reason = "no text is longer than a u32 says")]
        let next = self.entries.len() as u32;
        let Some(entry) = self.entries.get_mut(container) else {
            return Err(Unreadable::Text);
        };
        entry.next = next;
        if entry.kind == Kind::List || entry.extent < 2 {
            return Ok(());
        }
        let count = entry.extent as usize;
        let mut names: Vec<Cow<'_, str>> = Vec::with_capacity(count);
        let mut at = container + 1;
        while let Some([name, value]) = self.entries.get(at..at + 2) {
            names.push(string(self.text, *name));
            at = value.next as usize;
        }
        let twice = if count <= FEW {
            let is_twice = |index: &usize| names[..*index].contains(&names[*index]);
            (1..names.len()).find(is_twice)
        } else {
            names.sort_unstable();
            (1..names.len()).find(|index| names[index - 1] == names[*index])
        };
        twice.map_or(Ok(()), |index| {
            Err(Unreadable::Twice(shortened(&names[index]).into_owned()))
        })
    }

    /// Adds a string, from its opening quote on, and returns its end.
    fn string(&mut self, start: usize) -> Result<usize, Unreadable> {
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        let mut escaped = false;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    end += 2;
                }
                Some(_) => end += 1,
                None => return Err(Unreadable::Text),
            }
        }
        if escaped {
            check_surrogates(&bytes[start + 1..end])?;
            self.push(Kind::Escaped, start, end + 1);
        } else {
            self.push(Kind::Plain, start + 1, end);
        }
        Ok(end + 1)
    }

    /// Adds a number, a boolean or null, and returns its end.
    fn scalar(&mut self, start: usize) -> Result<usize, Unreadable> {
        let rest = self.text.get(start..).ok_or(Unreadable::Text)?;
        let ends = |character: char| matches!(character, ',' | ']' | '}' | ' ' | '\t' | '\r' | '\n');
        let end = start + rest.find(ends).unwrap_or(rest.len());
        let text = self.text.get(start..end).ok_or(Unreadable::Text)?;
        let kind = match text {
            "null" => Kind::Null,
            "true" | "false" => Kind::Boolean,
            number => {
                self.number(number)?;
                Kind::Number
            }
        };
        self.push(kind, start, end);
        Ok(end)
    }

    fn number(&mut self, number: &str) -> Result<(), Unreadable> {
        /// A number with at most this many digits and no exponent always fits into an `f64`.
        const ALWAYS_FINITE: usize = 300;
        let fraction = is_fraction(number);
        self.has_fractions |= fraction;
        if (fraction || number.len() > ALWAYS_FINITE) && !number.parse().is_ok_and(f64::is_finite) {
            return Err(Unreadable::Number);
        }
        Ok(())
    }
}

/// The first byte that is not white space.
fn first_of(bytes: &[u8]) -> Option<u8> {
    bytes
        .iter()
        .copied()
        .find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

/// Checks that surrogate escapes come in pairs, a high one and then a low one (RFC 8259 §7).
fn check_surrogates(text: &[u8]) -> Result<(), Unreadable> {
    let mut rest = text;
    while let Some(escape) = rest.iter().position(|byte| *byte == b'\\') {
        rest = &rest[escape..];
        let unit = code_unit(rest);
        rest = match unit {
            Some(0xd800..=0xdbff) => match code_unit(rest.get(6..).unwrap_or_default()) {
                Some(0xdc00..=0xdfff) => rest.get(12..),
                _ => return Err(Unreadable::Surrogate),
            },
            Some(0xdc00..=0xdfff) => return Err(Unreadable::Surrogate),
            _ => rest.get(2..),
        }
        .unwrap_or_default();
    }
    Ok(())
}

/// Whether a string with escapes and quotes equals a name, without copying the string.
fn unescapes_to(text: &str, name: &str) -> bool {
    let mut rest = text.strip_prefix('"').unwrap_or(text);
    for expected in name.chars() {
        let Some((character, after)) = next_character(rest) else {
            return false;
        };
        if character != expected {
            return false;
        }
        rest = after;
    }
    rest == "\""
}

/// Decodes the first character of a string with escapes, and returns the rest.
fn next_character(text: &str) -> Option<(char, &str)> {
    let mut characters = text.chars();
    let first = characters.next()?;
    if first != '\\' {
        return Some((first, characters.as_str()));
    }
    let escaped = match characters.next()? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => {
            let units = [code_unit(text.as_bytes()), text.as_bytes().get(6..).and_then(code_unit)];
            let character = char::decode_utf16(units.into_iter().flatten()).next()?.ok()?;
            return Some((character, text.get(6 * character.len_utf16()..)?));
        }
        other => other,
    };
    Some((escaped, characters.as_str()))
}

/// The UTF-16 code unit of an escape such as `\ud800`.
fn code_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// A value of a document, or a text outside any document.
#[derive(Clone, Copy)]
pub(crate) enum Node<'a> {
    At(&'a Document<'a>, u32),
    Text(&'a str),
}

/// A field's name, and its value.
pub(crate) type Member<'a> = (Cow<'a, str>, Node<'a>);

impl<'a> Node<'a> {
    fn entry(self) -> Option<Entry> {
        match self {
            Self::At(document, index) => Some(document.entry(index)),
            Self::Text(_) => None,
        }
    }

    fn kind(self) -> Kind {
        self.entry().map_or(Kind::Plain, |entry| entry.kind)
    }

    pub(super) fn is_object(self) -> bool {
        self.kind() == Kind::Object
    }

    /// The items of a list; empty for other values.
    pub(super) fn items(self) -> Items<'a> {
        Items(self.within(Kind::List))
    }

    /// The fields of an object; empty for other values.
    pub(super) fn members(self) -> Members<'a> {
        Members(self.within(Kind::Object))
    }

    /// The field of that name.
    pub(super) fn field(self, name: &str) -> Option<Node<'a>> {
        let mut within = self.within(Kind::Object);
        while let (Some((document, at)), Some((_, value))) = (within.next(), within.next()) {
            let entry = document.entry(at);
            let is_it = match entry.kind {
                Kind::Escaped => unescapes_to(document.slice(entry), name),
                _ => document.slice(entry) == name,
            };
            if is_it {
                return Some(document.node(value));
            }
        }
        None
    }

    /// The number of items, fields or characters.
    pub(super) fn length(self) -> usize {
        match self.entry() {
            Some(entry) if matches!(entry.kind, Kind::List | Kind::Object) => entry.extent as usize,
            _ => self.as_string().map_or(0, |text| text.chars().count()),
        }
    }

    /// A number as written in the text.
    pub(super) fn written(self) -> Option<&'a str> {
        match self {
            Self::At(document, index) => Some(document.slice(document.entry(index))),
            Self::Text(_) => None,
        }
    }

    /// The entries inside this value if it is of that kind; otherwise none.
    fn within(self, kind: Kind) -> Within<'a> {
        match self {
            Self::At(document, index) if document.entry(index).kind == kind => {
                let entry = document.entry(index);
                Within {
                    document: Some(document),
                    at: index + 1,
                    end: entry.next,
                    left: entry.extent,
                }
            }
            _ => Within {
                document: None,
                at: 0,
                end: 0,
                left: 0,
            },
        }
    }

    fn number(self) -> Option<Number> {
        match self {
            Self::At(document, index) => {
                let entry = document.entry(index);
                (entry.kind == Kind::Number).then(|| serde_json::from_str(document.slice(entry)).ok())?
            }
            Self::Text(_) => None,
        }
    }
}

/// A hash of 128 bits.
type Hash = [u64; 2];

impl Document<'_> {
    /// The hash of each value. Equal values have equal hashes, whatever the order of their fields and the notation of
    /// their numbers. A container comes before its content, so one pass from the end hashes each value once.
    fn hashes(&self) -> &[Hash] {
        self.hashes.get_or_init(|| {
            let states = [RandomState::new(), RandomState::new()];
            let mut hashes = vec![Hash::default(); self.entries.len()];
            for index in (0..self.entries.len()).rev() {
                let hash =
                    [0, 1].map(|half| self.hash(index, &states[half], |child: u32| hashes[child as usize][half]));
                hashes[index] = hash;
            }
            hashes
        })
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "no document has more entries than a u32 says"
    )]
    fn hash(&self, index: usize, state: &RandomState, hash_of: impl Fn(u32) -> u64) -> u64 {
        let mut hasher = state.build_hasher();
        let entry = self.entry(index as u32);
        // A string has the same hash with and without escapes.
        let kind = if entry.kind == Kind::Escaped {
            Kind::Plain
        } else {
            entry.kind
        };
        hasher.write_u8(kind as u8);
        match entry.kind {
            Kind::Null => {}
            Kind::Boolean => hasher.write(self.slice(entry).as_bytes()),
            Kind::Number => hasher.write_u128(number_bits(self.slice(entry))),
            Kind::Plain | Kind::Escaped => hasher.write(self.string(entry).as_bytes()),
            Kind::List => {
                let mut items = self.node(index as u32).within(Kind::List);
                while let Some((_, item)) = items.next() {
                    hasher.write_u64(hash_of(item));
                }
            }
            Kind::Object => {
                let mut sum = 0_u64;
                let mut fields = self.node(index as u32).within(Kind::Object);
                while let (Some((_, name)), Some((_, value))) = (fields.next(), fields.next()) {
                    let mut hasher = state.build_hasher();
                    hasher.write_u64(hash_of(name));
                    hasher.write_u64(hash_of(value));
                    sum = sum.wrapping_add(hasher.finish());
                }
                hasher.write_u64(sum);
            }
        }
        hasher.finish()
    }
}

/// Equal bits for equal numbers: a whole number gives its integer, whatever its notation.
fn number_bits(number: &str) -> u128 {
    let digits = whole(number);
    let digits = digits.as_deref().unwrap_or(number);
    let signed = digits.parse::<i128>().map(i128::cast_unsigned);
    if let Ok(integer) = signed.or_else(|_| digits.parse()) {
        return integer;
    }
    // The upper bits mark a float, so that its bits do not equal those of a whole number.
    u128::from(number.parse::<f64>().unwrap_or_default().to_bits()) | (u128::MAX << 64)
}

/// Iterates over the entries directly inside a list or an object.
struct Within<'a> {
    document: Option<&'a Document<'a>>,
    at: u32,
    end: u32,
    left: u32,
}

impl<'a> Within<'a> {
    fn next(&mut self) -> Option<(&'a Document<'a>, u32)> {
        let document = self.document.filter(|_| self.at < self.end)?;
        let at = self.at;
        self.at = document.entry(at).next.max(at + 1);
        Some((document, at))
    }
}

/// The items of a list.
pub(crate) struct Items<'a>(Within<'a>);

impl<'a> Iterator for Items<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        let (document, at) = self.0.next()?;
        self.0.left = self.0.left.saturating_sub(1);
        Some(document.node(at))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.left as usize, Some(self.0.left as usize))
    }
}

/// The fields of an object.
pub(crate) struct Members<'a>(Within<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let (document, name) = self.0.next()?;
        let (_, value) = self.0.next()?;
        self.0.left = self.0.left.saturating_sub(1);
        Some((document.string(document.entry(name)), document.node(value)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.left as usize, Some(self.0.left as usize))
    }
}

/// The JSON representation that the validators of inputs read.
pub(crate) struct Indexed;

impl Json for Indexed {
    type Node<'a> = Node<'a>;
    type PreparedKey = String;
    type StringBuffer = String;

    // A lookup reads every field, so one pass over the fields is never slower than several lookups.
    const KEYS_PER_LOOKUP: usize = usize::MAX >> 16;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut String, string: &str, f: impl FnOnce(Node<'_>) -> T) -> T {
        buffer.clear();
        buffer.push_str(string);
        f(Node::Text(buffer))
    }
}

impl<'a> JsonNode<'a, Indexed> for Node<'a> {
    type Object = Self;
    type Array = Self;
    type Number = Number;

    fn as_object(&self) -> Option<Self> {
        self.is_object().then_some(*self)
    }

    fn as_array(&self) -> Option<Self> {
        (self.kind() == Kind::List).then_some(*self)
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match *self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::At(document, index) => {
                let entry = document.entry(index);
                matches!(entry.kind, Kind::Plain | Kind::Escaped).then(|| document.string(entry))
            }
        }
    }

    fn as_number(&self) -> Option<Number> {
        self.number()
    }

    fn is_number(&self) -> bool {
        self.kind() == Kind::Number
    }

    fn as_boolean(&self) -> Option<bool> {
        match *self {
            Self::At(document, index) => {
                let entry = document.entry(index);
                (entry.kind == Kind::Boolean).then(|| document.slice(entry) == "true")
            }
            Self::Text(_) => None,
        }
    }

    fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    fn json_type(&self) -> JsonType {
        match self.kind() {
            Kind::Null => JsonType::Null,
            Kind::Boolean => JsonType::Boolean,
            Kind::Number => JsonType::Number,
            Kind::Plain | Kind::Escaped => JsonType::String,
            Kind::List => JsonType::Array,
            Kind::Object => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match expected {
            Value::Null => self.is_null(),
            Value::Bool(expected) => self.as_boolean() == Some(*expected),
            Value::String(expected) => self.as_string().is_some_and(|text| text == *expected),
            Value::Number(_) => {
                let number = self.number().map(Value::Number);
                number.is_some_and(|number| jsonschema::json::cmp::equal(&number, expected))
            }
            Value::Array(expected) => {
                let same_length = self.as_array().is_some() && self.length() == expected.len();
                same_length
                    && self
                        .items()
                        .zip(expected)
                        .all(|(item, expected)| item.equals_value(expected))
            }
            Value::Object(expected) => {
                let same_length = self.is_object() && self.length() == expected.len();
                let equals = |(name, expected): (&String, &Value)| {
                    self.field(name).is_some_and(|value| value.equals_value(expected))
                };
                same_length && expected.iter().all(equals)
            }
        }
    }

    /// Not used: error messages take the value from the document.
    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(Value::Null)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        match *self {
            Self::At(document, index) => Some(NodeIdentity::tagged(std::ptr::from_ref(document).addr(), index)),
            Self::Text(text) => Some(NodeIdentity::new(text.as_ptr().addr())),
        }
    }
}

impl<'a> Object<'a, Indexed> for Node<'a> {
    type Node = Self;
    type MemberName = Cow<'a, str>;
    type MembersIter = Members<'a>;

    fn len(&self) -> usize {
        self.length()
    }

    fn get(&self, key: &String) -> Option<Self> {
        self.field(key)
    }

    fn members(&self) -> Members<'a> {
        Node::members(*self)
    }
}

impl<'a> Array<'a, Indexed> for Node<'a> {
    type Node = Self;
    type ElementsIter = Items<'a>;

    fn len(&self) -> usize {
        self.length()
    }

    fn elements(&self) -> Items<'a> {
        self.items()
    }

    /// Compares hashes of 128 bits, because comparing all pairs takes quadratic time. The hash keys are random, so that
    /// no caller can produce collisions.
    fn is_unique(&self) -> bool {
        let Self::At(document, _) = self else { return true };
        let known = document.hashes();
        let mut items = self.within(Kind::List);
        let mut hashes: Vec<Hash> = Vec::with_capacity(self.length());
        while let Some((_, item)) = items.next() {
            hashes.extend(known.get(item as usize));
        }
        hashes.sort_unstable();
        hashes.windows(2).all(|pair| pair[0] != pair[1])
    }
}
