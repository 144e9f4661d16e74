//! Checks the characters of ids, tenants and secrets. The error names what was found, and never shows the text. No I/O.

/// The largest number of characters of an id or a tenant.
const LONGEST_NAME: usize = 64;
/// The largest number of different wrong characters that one message names.
const MOST_FOUND: usize = 4;

/// A part of `[tenant/]id=secret`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Tenant,
    Id,
    Value(Words),
}

/// How messages call the values of a list, which are not always secrets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    /// One value, such as `secret`.
    pub(super) value: &'static str,
    /// What to write, such as `[tenant/]id=secret`.
    pub(super) form: &'static str,
    /// What to write instead of a PEM.
    pub(super) instead_of_pem: &'static str,
}

/// What is wrong with the text and what to write instead, as a clause that follows the place. `None` if the text is
/// right.
pub(super) fn problem(part: Part, text: &str) -> Option<String> {
    match part {
        Part::Tenant => name_problem("tenant", text),
        Part::Id => name_problem("id", text),
        Part::Value(words) => value_problem(words, text),
    }
}

/// Whether a text can name a tenant.
#[cfg(feature = "oauth")]
pub(super) fn is_tenant(text: &str) -> bool {
    name_problem("tenant", text).is_none()
}

/// Names the character with which a text begins, if it is a space, a quote or an invisible character.
pub(crate) fn wrong_beginning(text: &str) -> Option<String> {
    let first = text.chars().next();
    let wrong = first.filter(|letter| is_wrong_around(*letter));
    wrong.map(name)
}

fn name_problem(what: &str, text: &str) -> Option<String> {
    let is_right = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let length = text.chars().count();
    let mut found = Found::default();
    if length == 0 {
        found.0.push("is empty".to_owned());
    } else if length > LONGEST_NAME {
        found.0.push(format!("has {length} characters"));
    }
    found.add(text.chars().filter(|letter| !is_right(*letter)), "");
    let found = found.joined()?;
    Some(format!(
        "the {what} {found}; write 1 to {LONGEST_NAME} characters: letters A to Z and a to z, digits, `.`, `_` and `-`."
    ))
}

fn value_problem(Words { value, form, .. }: Words, text: &str) -> Option<String> {
    let within = text.trim_matches(is_wrong_around);
    // A text of only `=` is the padding of a base64 secret that was written without an id.
    let is_empty = |text: &str| {
        text.trim_matches(|letter: char| letter == '=' || letter.is_whitespace())
            .is_empty()
    };
    if is_empty(text) || within.is_empty() {
        return Some(format!("the {value} is empty; write {form}."));
    }
    let (before, rest) = text.split_once(within).unwrap_or((text, ""));
    let mut found = Found::default();
    found.add(before.chars(), " before it");
    found.add(rest.chars(), " after it");
    found.add(within.chars().filter(|letter| is_unseen(*letter)), " in it");
    let found = found.joined()?;
    Some(format!(
        "the {value} {found}; write only the {value}, in UTF-8, without quotes or spaces around it."
    ))
}

/// The problems that were found, each once.
#[derive(Default)]
struct Found(Vec<String>);

impl Found {
    /// Adds wrong characters, each once, up to `MOST_FOUND`.
    fn add(&mut self, letters: impl Iterator<Item = char>, place: &str) {
        let mut named = Vec::new();
        for letter in letters {
            if self.0.len() >= MOST_FOUND {
                return;
            }
            if !named.contains(&letter) {
                named.push(letter);
                self.0.push(format!("has {}{place}", name(letter)));
            }
        }
    }

    fn joined(self) -> Option<String> {
        let (last, others) = self.0.split_last()?;
        Some(match others {
            [] => last.clone(),
            others => format!("{} and {last}", others.join(", ")),
        })
    }
}

/// Whether a character must not stand around a value.
fn is_wrong_around(letter: char) -> bool {
    letter == ' ' || is_quote(letter) || is_unseen(letter)
}

/// Whether a character is invisible: a control character, a byte-order mark, a zero-width character, or any space but
/// U+0020. `escape_debug` escapes exactly these, and three visible characters.
fn is_unseen(letter: char) -> bool {
    !matches!(letter, '\'' | '"' | '\\') && letter.escape_debug().len() > 1
}

fn is_quote(letter: char) -> bool {
    matches!(
        letter,
        '"' | '\'' | '`' | '´' | '\u{2018}'..='\u{201f}' | '«' | '»' | '‹' | '›'
    )
}

fn name(letter: char) -> String {
    let known = match letter {
        '\u{feff}' => "a byte-order mark",
        '\0' => "a NUL (a file in UTF-16 has them)",
        '\t' => "a tab",
        '\n' => "a line break",
        '\r' => "a carriage return",
        ' ' => "a space",
        '\u{a0}' => "a no-break space",
        '\u{200b}' => "a zero-width space",
        '"' => "a double quote",
        '\'' => "a single quote",
        '`' => "a backtick",
        _ => "",
    };
    match letter {
        _ if !known.is_empty() => known.to_owned(),
        letter if is_quote(letter) => format!("a typographic quote (U+{:04X})", u32::from(letter)),
        letter if letter.is_ascii_graphic() => format!("`{letter}`"),
        letter => format!("the character U+{:04X}", u32::from(letter)),
    }
}
