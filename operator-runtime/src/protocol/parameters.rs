//! The decoded search parameters: what is signed for a GET, and what its inputs are read from.

/// A map from text to text, sorted by code point, no name twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    /// All decoded text, end to end; one allocation however many pairs.
    text: String,
    /// Where each name and value ends, in the order of the names.
    pairs: Vec<Pair>,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    start: usize,
    middle: usize,
    end: usize,
}

/// Why a query gives no map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotUtf8;

impl Parameters {
    /// Decodes a query as `application/x-www-form-urlencoded` (WHATWG URL §5.1): `+` is a space, `a` alone is `a=`, empty
    /// pieces count for nothing, and what is no escape stands for itself. Of a name given twice the last value stays, as in
    /// a Python dict; the flag says that there was one.
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
        // Half a character at the end of one is not made whole by the next.
        let whole = |pair: &Pair| {
            [pair.start, pair.middle, pair.end]
                .iter()
                .all(|at| text.is_char_boundary(*at))
        };
        if !pairs.iter().all(whole) {
            return Err(NotUtf8);
        }
        // The order of code points is that of the bytes.
        let name = |pair: &Pair| &text.as_bytes()[pair.start..pair.middle];
        // Stable, so that of equal names the last given is the last.
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

    /// The value of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// How many there are.
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
        // Most words hold no escape, and are taken in one piece.
        if word.contains(&b'%') {
            text.extend(percent_encoding::percent_decode(word));
        } else {
            text.extend_from_slice(word);
        }
    }
}
