//! Builds the index of a JSON text in one pass.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::{Entry, Kind, Unreadable, is_fraction, string};
use crate::input::found::shortened;

/// Builds the entries, without recursion.
pub(super) struct Index<'b> {
    pub(super) text: &'b str,
    pub(super) entries: Vec<Entry>,
    pub(super) has_fractions: bool,
    /// The largest nesting depth.
    pub(super) deepest: usize,
}

impl Index<'_> {
    pub(super) fn read(&mut self) -> Result<(), Unreadable> {
        let bytes = self.text.as_bytes();
        let mut open: Vec<usize> = Vec::new();
        let mut at = 0;
        // Reported only if nothing else is wrong: a decoder may skip what is too deep, but not another mistake.
        let mut is_too_deep = false;
        while let Some(byte) = bytes.get(at) {
            at = match byte {
                b'[' | b'{' => {
                    is_too_deep |= open.len() >= self.deepest;
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
        if !open.is_empty() || self.entries.is_empty() {
            return Err(Unreadable::Text);
        }
        if is_too_deep { Err(Unreadable::Depth) } else { Ok(()) }
    }

    #[allow(clippy::cast_possible_truncation, reason = "the length of the text fits into `u32`")]
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
        #[allow(clippy::cast_possible_truncation, reason = "the number of entries fits into `u32`")]
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

    /// Adds the string whose opening quote is at `start`, and returns its end.
    fn string(&mut self, start: usize) -> Result<usize, Unreadable> {
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        let mut escaped = false;
        loop {
            let rest = bytes.get(end..).ok_or(Unreadable::Text)?;
            end += memchr2(b'"', b'\\', rest).ok_or(Unreadable::Text)?;
            if bytes.get(end) == Some(&b'"') {
                break;
            }
            escaped = true;
            end += 2;
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

/// Checks that surrogate escapes come in pairs: first a high surrogate, then a low surrogate (RFC 8259 §7).
fn check_surrogates(text: &[u8]) -> Result<(), Unreadable> {
    let mut rest = text;
    while let Some(escape) = memchr(b'\\', rest) {
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

/// Whether a string that is given with its quotes and escapes equals a name. The string is not copied.
pub(super) fn unescapes_to(text: &str, name: &str) -> bool {
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
