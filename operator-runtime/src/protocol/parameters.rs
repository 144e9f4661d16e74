//! The decoded search parameters of a GET. The caller signs them, and the endpoint's inputs are read from them.

/// A map from names to values, sorted by code point, without duplicate names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    /// The decoded text of all pairs in one string, so that any number of pairs needs one allocation.
    text: String,
    /// The positions of each name and value in the text, ordered by name.
    pairs: Vec<Pair>,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    start: usize,
    middle: usize,
    end: usize,
}

/// The query is not UTF-8 after percent-decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotUtf8;

impl Parameters {
    /// Decodes a query as `application/x-www-form-urlencoded` (WHATWG URL §5.1): `+` is a space, `a` without `=` has an
    /// empty value, empty pieces are skipped, and an invalid escape is taken literally. If a name is given twice, the
    /// last value wins, as in a Python dict, and the returned flag is true.
    pub(crate) fn decode(query: &str) -> Result<(Self, bool), NotUtf8> {
        let mut text = Vec::with_capacity(query.len());
        let mut pairs = Vec::with_capacity(8);
        let pieces = query.as_bytes().split(|byte| *byte == b'&');
        for piece in pieces.filter(|piece| !piece.is_empty()) {
            let equals = piece.iter().position(|byte| *byte == b'=');
            let (name, value) = equals.map_or((piece, &b""[..]), |at| (&piece[..at], &piece[at + 1..]));
            let start = text.len();
            decode_text(name, &mut text);
            let middle = text.len();
            decode_text(value, &mut text);
            pairs.push(Pair {
                start,
                middle,
                end: text.len(),
            });
        }
        let text = String::from_utf8(text).map_err(|_| NotUtf8)?;
        // A name that ends in the middle of a character is invalid, even if its value begins with the rest of the
        // character.
        let whole = |pair: &Pair| {
            [pair.start, pair.middle, pair.end]
                .iter()
                .all(|at| text.is_char_boundary(*at))
        };
        if !pairs.iter().all(whole) {
            return Err(NotUtf8);
        }
        // Sorting by UTF-8 bytes gives the order of code points.
        let name = |pair: &Pair| &text.as_bytes()[pair.start..pair.middle];
        // The sort is stable, so that pairs with equal names keep their order.
        pairs.sort_by(|left, right| name(left).cmp(name(right)));
        let given = pairs.len();
        pairs.dedup_by(|later, kept| {
            let same = name(later) == name(kept);
            if same {
                *kept = *later;
            }
            same
        });
        let twice = pairs.len() < given;
        Ok((Self { text, pairs }, twice))
    }

    /// The value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self
            .pairs
            .binary_search_by(|pair| self.text[pair.start..pair.middle].cmp(name));
        let pair = self.pairs.get(found.ok()?)?;
        Some(&self.text[pair.middle..pair.end])
    }

    /// The number of pairs.
    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Every name and value, sorted by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|pair| (&self.text[pair.start..pair.middle], &self.text[pair.middle..pair.end]))
    }
}

fn decode_text(encoded: &[u8], text: &mut Vec<u8>) {
    for (index, word) in encoded.split(|byte| *byte == b'+').enumerate() {
        if index > 0 {
            text.push(b' ');
        }
        // Most words have no escape, and can be copied whole.
        if word.contains(&b'%') {
            text.extend(percent_encoding::percent_decode(word));
        } else {
            text.extend_from_slice(word);
        }
    }
}
