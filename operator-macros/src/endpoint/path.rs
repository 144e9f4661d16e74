//! Checks paths and names, and suggests valid ones.

use heck::ToSnakeCase as _;
use syn::LitStr;

use super::attribute::Attribute;
use crate::error::Errors;

/// The largest number of characters in a name.
const LONGEST_NAME: usize = 64;
/// The largest number of characters in a path.
const LONGEST_PATH: usize = 256;

/// The path, or `/` and the endpoint's name if no path is given. Every character of a valid name is also valid in a
/// path.
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

/// What is wrong with a path, and what to write instead: each kind of invalid character once, and then the path's form.
fn mistakes(path: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    // Checks only up to the start of a query or a fragment, because the rest is not part of the path.
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

/// What is wrong with a path apart from its characters.
fn malformed(path: &str) -> Option<(String, String)> {
    let wrong = |wrong: &str, write: String| Some((wrong.to_owned(), write));
    if path.is_empty() {
        return wrong("the path is empty", "write `\"/orders\"`".to_owned());
    }
    if !path.starts_with('/') {
        return wrong("a path must begin with `/`", format!("write `\"{}\"`", tidy(path)));
    }
    if path.contains("//") {
        return wrong(
            "a path cannot have an empty segment",
            format!("write `\"{}\"`", tidy(path)),
        );
    }
    if path.len() > 1 && path.ends_with('/') {
        return wrong("a path cannot end with `/`", format!("write `\"{}\"`", tidy(path)));
    }
    if path.split('/').any(is_dots) {
        return wrong(
            "a path cannot have a `.` or `..` segment",
            "write the path without it".to_owned(),
        );
    }
    (path.len() > LONGEST_PATH).then(|| {
        let wrong = format!("the path has {} characters, which is too long", path.len());
        (wrong, format!("use at most {LONGEST_PATH}"))
    })
}

fn is_dots(segment: &str) -> bool {
    segment == "." || segment == ".."
}

fn foreign_letter(letter: char) -> (String, String) {
    let write = match letter {
        ' ' => return ("a path cannot contain spaces".to_owned(), "use `-` or `_`".to_owned()),
        '{' | '}' | ':' | '*' => "paths have no parameters, so take the value as an argument",
        '?' => "take each query parameter as an argument",
        '#' => "remove the fragment",
        _ => "use ASCII letters, digits, `-`, `_`, `.`, `~` and `/`",
    };
    (
        format!("a path cannot contain `{}`", letter.escape_debug()),
        write.to_owned(),
    )
}

/// The path without its empty or invalid segments.
fn tidy(path: &str) -> String {
    let may_stay =
        |segment: &&str| !segment.is_empty() && !is_dots(segment) && !segment.contains(|letter| is_foreign(&letter));
    let tidy = path
        .split('/')
        .filter(may_stay)
        .fold(String::new(), |tidy, segment| tidy + "/" + segment);
    if tidy.is_empty() { "/orders".to_owned() } else { tidy }
}

/// Checks the endpoint's name, which is the `name` option or the function's name.
pub(crate) fn check_name(name: &str, at: &impl quote::ToTokens, errors: &mut Errors) {
    let mut letters = name.bytes();
    let valid = letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_')
        && name.len() <= LONGEST_NAME;
    if !valid {
        errors.at(
            at,
            format!("`{name}` is not a valid endpoint name"),
            format!(
                "start with a lowercase letter and use at most {LONGEST_NAME} lowercase letters, digits and `_`, like `name = \"{}\"`",
                snake_case(name)
            ),
        );
    }
}

/// Checks the name of an input that callers send.
pub(crate) fn check_input_name(rename: &LitStr, errors: &mut Errors) {
    let name = rename.value();
    if name.is_empty() || name.chars().any(char::is_control) {
        errors.at(
            rename,
            "the name of an input cannot be empty or contain control characters",
            "write the name that callers send, like `rename = \"type\"`",
        );
    }
}

/// Makes a valid name from an invalid one.
fn snake_case(name: &str) -> String {
    let ascii: String = name
        .chars()
        .map(|letter| if letter.is_ascii() { letter } else { '_' })
        .collect();
    let snake = ascii.to_snake_case();
    let valid = snake.trim_start_matches(|letter: char| letter == '_' || letter.is_ascii_digit());
    let valid: String = valid.chars().take(LONGEST_NAME).collect();
    match valid.trim_end_matches('_') {
        "" => "find_order".to_owned(),
        valid => valid.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{mistakes, snake_case};

    #[test]
    fn a_valid_name_is_suggested() {
        for (bad, better) in [
            ("refundOrder", "refund_order"),
            ("Refund-Order", "refund_order"),
            ("2nd_order", "nd_order"),
            ("HTTPStatus", "http_status"),
            ("grüße", "gr_e"),
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
    fn each_reason_is_reported_once_and_all_in_one_compile() {
        let told = mistakes("orders/{id}/:kind/a b?c=é/");
        let wrong: Vec<&str> = told.iter().map(|(wrong, _)| wrong.as_str()).collect();
        assert_eq!(
            wrong,
            [
                "a path cannot contain `{`",
                "a path cannot contain spaces",
                "a path cannot contain `?`",
                "a path must begin with `/`"
            ]
        );
        assert_eq!(told[3].1, "write `\"/orders\"`");
        assert_eq!(mistakes("/a/../b/")[0].1, "write `\"/a/b\"`");
    }
}
