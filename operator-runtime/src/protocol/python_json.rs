//! Prints a map of strings as CPython's `json.dumps(map, sort_keys=True)` does. A pure function.

/// Prints the pairs, which must be sorted by code point (the order of their UTF-8 bytes) and have no duplicate names.
pub(super) fn encode<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> Vec<u8> {
    // The capacity is enough for most queries, so that printing needs one allocation.
    let mut printed = Vec::with_capacity(256);
    printed.push(b'{');
    for (index, (name, value)) in pairs.enumerate() {
        if index > 0 {
            printed.extend_from_slice(b", ");
        }
        text(name, &mut printed);
        printed.extend_from_slice(b": ");
        text(value, &mut printed);
    }
    printed.push(b'}');
    printed
}

fn text(text: &str, printed: &mut Vec<u8>) {
    let is_plain = |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    printed.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !is_plain(byte)) {
        let (plain, from) = rest.split_at(at);
        printed.extend_from_slice(plain.as_bytes());
        let mut characters = from.chars();
        characters
            .by_ref()
            .take(1)
            .for_each(|character| escape(character, printed));
        rest = characters.as_str();
    }
    printed.extend_from_slice(rest.as_bytes());
    printed.push(b'"');
}

fn escape(character: char, printed: &mut Vec<u8>) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let short = match character {
        '"' => b'"',
        '\\' => b'\\',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        other => {
            for unit in other.encode_utf16(&mut [0; 2]) {
                let [high, low] = unit.to_be_bytes();
                let digit = |nibble: u8| HEX[usize::from(nibble & 0xf)];
                printed.extend([b'\\', b'u', digit(high >> 4), digit(high), digit(low >> 4), digit(low)]);
            }
            return;
        }
    };
    printed.extend([b'\\', short]);
}
