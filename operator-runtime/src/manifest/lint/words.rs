//! Lints for descriptions: whether a description says what the endpoint does, says more than the name, and says when to
//! use the endpoint.

use super::{NO_OCCASION, REPEATED_NAME, Report, SHORT_DESCRIPTION, UNDESCRIBED_INPUT};

/// A description with fewer words is too short to say more than the name.
const FEWEST_WORDS: usize = 5;

pub(super) fn of_endpoint(report: &mut Report<'_>) {
    let endpoint = report.described.endpoint;
    let words = words(endpoint.description);
    if words.len() < FEWEST_WORDS {
        report.endpoint(
            SHORT_DESCRIPTION,
            format!("The description has {} words", words.len()),
            "Say in one or two sentences what the endpoint does, with which records, and what its answer contains.",
        );
    }
    if adds_nothing(&words, endpoint.name) {
        report.endpoint(
            REPEATED_NAME,
            "The description only repeats the name",
            "Say what a reader cannot guess from the name: which records, in which order, with which effect.",
        );
    }
    if !says_when(endpoint.description) {
        report.endpoint(
            NO_OCCASION,
            "The description does not say when to use the endpoint",
            "Add a sentence such as \"Use it when a customer asks where an order is.\"",
        );
    }
    of_inputs(report);
}

fn of_inputs(report: &mut Report<'_>) {
    let endpoint = report.described.endpoint;
    for input in endpoint.inputs.iter().filter(|input| input.flatten.is_none()) {
        let words = words(input.description);
        if words.is_empty() {
            report.input(
                UNDESCRIBED_INPUT,
                input.name,
                "The input has no description",
                "Say what the input means, in which unit or format it is, and where a caller finds it.",
            );
        } else if adds_nothing(&words, input.name) {
            report.input(
                REPEATED_NAME,
                input.name,
                "The description only repeats the name",
                "Say which value is meant, in which unit or format it is, and where a caller finds it.",
            );
        }
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Whether the name already contains every meaningful word of the description. Word endings are ignored.
fn adds_nothing(words: &[String], name: &str) -> bool {
    const EMPTY: [&str; 14] = [
        "a", "an", "the", "of", "for", "to", "this", "that", "is", "it", "its", "given", "endpoint", "input",
    ];
    let in_name: Vec<&str> = name.split('_').collect();
    let is_said = |word: &String| in_name.iter().any(|part| stem(part) == stem(word));
    !words.is_empty() && words.iter().filter(|word| !EMPTY.contains(&word.as_str())).all(is_said)
}

/// A word without its grammatical ending.
fn stem(word: &str) -> &str {
    ["ing", "ies", "es", "ed", "s", "y", "e"]
        .iter()
        .find_map(|ending| word.strip_suffix(ending).filter(|stem| stem.len() > 2))
        .unwrap_or(word)
}

/// Whether the description says when to use the endpoint.
fn says_when(description: &str) -> bool {
    let lower = description.to_lowercase();
    [
        "when", "use it", "use this", "call it", "before", "after", "once ", "if ",
    ]
    .iter()
    .any(|occasion| lower.contains(occasion))
}
