//! Decodes deeply nested values on a larger stack. Serde calls itself for each level, and each of these calls holds all
//! fields of a struct. So a few hundred bytes for a recursive struct of a hundred fields would overflow the stack of a
//! thread, which ends the process.

/// Values with this many levels are decoded on the thread's own stack.
const SHALLOW: usize = 4;
/// The size of the larger stack, in bytes. Only what is used takes memory. With 127 levels, a struct may take 260 KB for
/// each: several hundred fields, even without optimization.
const STACK: usize = 32 * 1024 * 1024;

/// Calls `decode`, which decodes this JSON text, on a stack that is large enough for its levels.
pub(crate) fn on_a_large_stack<T>(json: &[u8], decode: impl FnOnce() -> T) -> T {
    if is_deep(json) {
        stacker::grow(STACK, decode)
    } else {
        decode()
    }
}

/// Whether lists and objects are nested in more than `SHALLOW` levels.
fn is_deep(json: &[u8]) -> bool {
    // Most texts have few brackets, so their levels need not be counted.
    if memchr::memchr2_iter(b'[', b'{', json).nth(SHALLOW).is_none() {
        return false;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'[' | b'{' if depth == SHALLOW => return true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => at = end_of_text(json, at),
            _ => {}
        }
        at += 1;
    }
    false
}

/// The place of the quotation mark that ends a text.
fn end_of_text(json: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    loop {
        let rest = json.get(at..).unwrap_or_default();
        let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
            return json.len();
        };
        at += found;
        if json[at] == b'"' {
            return at;
        }
        // The backslash and the character after it.
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_levels_count_and_not_brackets_in_texts() {
        for (json, deep) in [
            ("", false),
            ("[[[[0]]]]", false),
            ("[[[[[0]]]]]", true),
            (r#"{"a":{"b":{"c":{"d":0}}}}"#, false),
            (r#"{"a":{"b":{"c":{"d":[]}}}}"#, true),
            ("[[],[],[],[],[],[],[[[]]]]", false),
            ("[[],[],[],[],[],[],[[[[]]]]]", true),
            (r#"["[[[[[[[[", "\"[[[[[[[[", "\\", [[[0]]]]"#, false),
            (r#"["[[[[[[[[", "\"]]]]]]]]", "\\", [[[[0]]]]]"#, true),
            (r#"["]]]]]]]]", [[["#, false),
            (r#"["[[[[[[[[\"#, false),
            ("]]]][[[[[", true),
        ] {
            assert_eq!(is_deep(json.as_bytes()), deep, "{json}");
        }
    }
}
