//! An index of JSON text: one small entry for each value, without copying the text.
//!
//! A tree of `serde_json::Value`s takes up to ninety times the memory of its text (an object with one field takes 640
//! bytes). So a caller could exhaust the memory with one body. In this index, each value takes 16 bytes, and its text
//! takes at least one byte.

mod buffer;
mod index;
mod validated;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use jsonschema::json::Node as _;
use serde_json::Number;

pub(super) use self::buffer::Buffer;
use self::index::{Index, unescapes_to};
pub(crate) use self::validated::Indexed;

/// The largest nesting depth of lists and objects, as in `serde_json`.
const DEEPEST: usize = 127;

/// A JSON text and the positions of its values.
pub(crate) struct Document<'b> {
    text: &'b str,
    entries: Vec<Entry>,
    /// Whether any number is written with a fraction or an exponent.
    has_fractions: bool,
    /// The hashes of all values. They are computed only for schemas with `uniqueItems`.
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

    /// Like [`of`](Self::of), for a text that will be nested in `levels` lists or objects.
    pub(super) fn nested_in(levels: usize, text: &'b str) -> Result<Self, Unreadable> {
        u32::try_from(text.len()).map_err(|_| Unreadable::Text)?;
        let mut index = Index {
            text,
            entries: Vec::with_capacity(most_values(text)),
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

    /// The entry of a value, and the entries inside it.
    fn inside(&self, index: u32) -> &[Entry] {
        let inside = index as usize..self.entry(index).next as usize;
        self.entries.get(inside).unwrap_or_default()
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

/// An upper bound of the number of values and names: each but the first follows a `,`, `:`, `[` or `{`. With it, one
/// allocation is enough for all entries.
fn most_values(text: &str) -> usize {
    let is_before = |byte: u8| (byte == b',') | (byte == b':') | (byte == b'[') | (byte == b'{');
    // Counted in chunks and without branches, so that the compiler can look at many bytes at once.
    let chunks = text.as_bytes().chunks(usize::from(u8::MAX));
    let counts = chunks.map(|chunk| chunk.iter().map(|byte| u8::from(is_before(*byte))).sum::<u8>());
    1 + counts.map(usize::from).sum::<usize>()
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

/// The number as the validator sees it. A number such as 3.0000000000000000001, which an `f64` rounds to a whole number,
/// becomes the next number that is not whole. Otherwise the validator would accept the number as an integer, and only
/// serde would refuse it.
fn number(text: &str) -> Option<Number> {
    let number: Number = serde_json::from_str(text).ok()?;
    let rounded = number.as_f64().filter(|rounded| rounded.fract() == 0.0);
    match rounded {
        Some(rounded) if is_fraction(text) && whole(text).is_none() => Number::from_f64(rounded.next_up()),
        _ => Some(number),
    }
}

/// The exact digits of a whole number that is written with a fraction or an exponent; `None` if the number is not
/// whole, or too large for every integer type of Rust.
pub(super) fn whole(number: &str) -> Option<String> {
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
    // In a number such as `1000e-2`, the digits after the decimal point must be zeros.
    let behind = usize::try_from(-zeros).ok()?;
    let (before, behind) = significant.split_at_checked(significant.len().checked_sub(behind)?)?;
    (!before.is_empty() && behind.bytes().all(|digit| digit == b'0')).then(|| format!("{sign}{before}"))
}

/// Whether a number is written with a fraction or an exponent. -0 is included, because `serde_json` reads -0 as a
/// float.
pub(super) fn is_fraction(number: &str) -> bool {
    number == "-0" || number.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
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

    /// The number of values and names in this value, including itself.
    pub(super) fn size(self) -> usize {
        match self {
            Self::At(document, index) => document.entry(index).next.saturating_sub(index) as usize,
            Self::Text(_) => 1,
        }
    }

    /// The length of the whole text in bytes.
    pub(super) fn length_of_document(self) -> usize {
        match self {
            Self::At(document, _) => document.text.len(),
            Self::Text(text) => text.len(),
        }
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
                (entry.kind == Kind::Number).then(|| number(document.slice(entry)))?
            }
            Self::Text(_) => None,
        }
    }
}

/// A hash of 128 bits.
type Hash = [u64; 2];

impl Document<'_> {
    /// The hash of each value. Equal values have equal hashes, whatever the order of their fields and the notation of
    /// their numbers. A list or object comes before its content, so one pass from the end computes each hash once.
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

    #[allow(clippy::cast_possible_truncation, reason = "the number of entries fits into `u32`")]
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
