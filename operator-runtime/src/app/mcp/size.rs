//! The limit on the number of values in a message, for both transports.

/// The largest number of JSON values in one message. rmcp parses a message into a tree, in which a value takes up to
/// 640 bytes, so a message of 1 MiB could take 190 MiB.
const MOST_VALUES: usize = 50_000;

/// Refuses a message with too many values, with a sentence for the client.
pub(super) fn check_values(message: &[u8]) -> Result<(), String> {
    if count_values(message) <= MOST_VALUES {
        return Ok(());
    }
    Err(format!(
        "The message has more than {MOST_VALUES} JSON values, which is this server's limit for MCP: send fewer values in one call."
    ))
}

/// At least the number of values in a JSON text. For a text that is not JSON, the result means nothing.
fn count_values(text: &[u8]) -> usize {
    let (mut is_string, mut is_escaped) = (false, false);
    let begins = text.iter().filter(|byte| {
        let begins = !is_string && matches!(byte, b',' | b':' | b'[' | b'{');
        (is_string, is_escaped) = match byte {
            b'"' => (is_string == is_escaped, false),
            b'\\' => (is_string, is_string && !is_escaped),
            _ => (is_string, false),
        };
        begins
    });
    1 + begins.count()
}
