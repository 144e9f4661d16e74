//! Paths and names on the wire: what they may look like, and the better one.

use syn::LitStr;

use super::attribute::Attribute;
use crate::error::Errors;

/// The most characters of a name.
const LONGEST_NAME: usize = 64;
/// The most characters of a path.
const LONGEST_PATH: usize = 256;

/// The path, or the endpoint's name as one: what a name holds may stand in a path.
pub(crate) fn check(attribute: &Attribute, name: &str, errors: &mut Errors) -> String {
    let Some(literal) = &attribute.path else {
        return format!("/{name}");
    };
    let path = literal.value();
    for (wrong, write) in mistakes(&path) {
        errors.at(literal, wrong, write);
    }
    path
}

/// What is wrong with a path, and what to write: letters that it cannot hold, once for each advice, and its form.
fn mistakes(path: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    // Behind a query or a fragment begins what no path has.
    let end = path.find(['?', '#']).map_or(path.len(), |mark| mark + 1);
    for (wrong, write) in path[..end].chars().filter(is_foreign).map(foreign_letter) {
        if found.iter().all(|(_, other)| *other != write) {
            found.push((wrong, write));
        }
    }
    found.extend(malformed(path));
    found
}

fn is_foreign(letter: &char) -> bool {
    !letter.is_ascii_alphanumeric() && !"-_.~/".contains(*letter)
}

/// What is wrong with a path whatever its letters are.
fn malformed(path: &str) -> Option<(String, String)> {
    let wrong = |wrong: &str, write: String| Some((wrong.to_owned(), write));
    if path.is_empty() {
        return wrong("the path is empty", "write `\"/orders\"`".to_owned());
    }
    if !path.starts_with('/') {
        return wrong("a path begins with `/`", format!("write `\"{}\"`", tidy(path)));
    }
    if path.contains("//") {
        return wrong("a path has no empty segment", format!("write `\"{}\"`", tidy(path)));
    }
    if path.len() > 1 && path.ends_with('/') {
        return wrong("a path does not end in `/`", format!("write `\"{}\"`", tidy(path)));
    }
    if path.split('/').any(is_dots) {
        return wrong(
            "a path has no `.` or `..` segment",
            "write the path that is meant".to_owned(),
        );
    }
    (path.len() > LONGEST_PATH).then(|| {
        let wrong = format!(
            "a path has {LONGEST_PATH} characters at most, and this has {}",
            path.len()
        );
        (wrong, "shorten it".to_owned())
    })
}

fn is_dots(segment: &str) -> bool {
    segment == "." || segment == ".."
}

fn foreign_letter(letter: char) -> (String, String) {
    let write = match letter {
        '{' | '}' | ':' | '*' => {
            "take what varies as an argument: a URL is published once, so a path has no parameters"
        }
        '?' | '#' => "take what would stand behind it as an argument",
        '%' | ' ' => "write letters, digits, `-`, `_`, `.` and `~`, which need no encoding",
        _ => "write ASCII letters, digits, `-`, `_`, `.`, `~` and `/`",
    };
    (format!("a path holds no `{}`", letter.escape_debug()), write.to_owned())
}

/// The segments that may stay.
fn tidy(path: &str) -> String {
    let may_stay =
        |segment: &&str| !segment.is_empty() && !is_dots(segment) && !segment.contains(|letter| is_foreign(&letter));
    let tidy = path
        .split('/')
        .filter(may_stay)
        .fold(String::new(), |tidy, segment| tidy + "/" + segment);
    if tidy.is_empty() { "/orders".to_owned() } else { tidy }
}

/// The name for the agent: the option's, or the function's own.
pub(crate) fn check_name(name: &str, at: &impl quote::ToTokens, errors: &mut Errors) {
    let mut letters = name.bytes();
    let valid = letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_')
        && name.len() <= LONGEST_NAME;
    if !valid {
        errors.at(
            at,
            format!("`{name}` is no name for the agent: it needs a small letter, then small letters, digits and `_`, {LONGEST_NAME} at most"),
            format!("write `name = \"{}\"`", snake_case(name)),
        );
    }
}

/// The wire name of an input: not empty, and printable.
pub(crate) fn check_input_name(rename: &LitStr, errors: &mut Errors) {
    let name = rename.value();
    if name.is_empty() || name.chars().any(char::is_control) {
        errors.at(
            rename,
            "this is no name on the wire",
            "write the name that callers send, as `rename = \"type\"`",
        );
    }
}

fn snake_case(name: &str) -> String {
    let mut better = String::new();
    let mut small = false;
    for letter in name.chars() {
        // A new word begins where a capital follows a small letter.
        if letter.is_ascii_uppercase() && small {
            better.push('_');
        }
        small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        match letter {
            letter if letter.is_ascii_alphanumeric() => better.push(letter.to_ascii_lowercase()),
            _ if !better.ends_with('_') => better.push('_'),
            _ => {}
        }
    }
    let better = better.trim_start_matches(|letter: char| letter == '_' || letter.is_ascii_digit());
    let better: String = better.chars().take(LONGEST_NAME).collect();
    match better.trim_end_matches('_') {
        "" => "find_order".to_owned(),
        better => better.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{mistakes, snake_case};

    #[test]
    fn a_better_name_is_offered() {
        for (bad, better) in [
            ("refundOrder", "refund_order"),
            ("Refund-Order", "refund_order"),
            ("2nd_order", "nd_order"),
            ("HTTPStatus", "httpstatus"),
            ("日本", "find_order"),
        ] {
            assert_eq!(snake_case(bad), better);
        }
    }

    #[test]
    fn a_path_is_refused_for_one_reason() {
        assert_eq!(mistakes("/orders/recent.json"), []);
        assert_eq!(mistakes("/"), []);
        for bad in [
            "", "orders", "/a/", "//a", "/a/../b", "/a?b", "/{id}", "/ü", "/a b", "/%41",
        ] {
            assert_eq!(mistakes(bad).len(), 1, "{bad}");
        }
        assert_eq!(mistakes(&format!("/{}", "a".repeat(256))).len(), 1);
    }

    #[test]
    fn each_reason_is_told_once_and_none_is_left_for_the_next_compile() {
        let told = mistakes("orders/{id}/:kind/a b?c=é/");
        let wrong: Vec<&str> = told.iter().map(|(wrong, _)| wrong.as_str()).collect();
        assert_eq!(
            wrong,
            [
                "a path holds no `{`",
                "a path holds no ` `",
                "a path holds no `?`",
                "a path begins with `/`"
            ]
        );
        assert_eq!(told[3].1, "write `\"/orders\"`");
        assert_eq!(mistakes("/a/../b/")[0].1, "write `\"/a/b\"`");
    }
}
