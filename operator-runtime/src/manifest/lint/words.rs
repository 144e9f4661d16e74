//! Descriptions: whether they say what is done, more than the name does, and when.

use super::{NO_OCCASION, REPEATED_NAME, Report, SHORT_DESCRIPTION, UNDESCRIBED_INPUT};

/// Fewer words than this say nothing that a name does not.
const FEWEST_WORDS: usize = 5;

pub(super) fn of_endpoint(report: &mut Report<'_>) {
    let endpoint = report.described.endpoint;
    let words = words(endpoint.description);
    if words.len() < FEWEST_WORDS {
        report.endpoint(
            SHORT_DESCRIPTION,
            format!("The description has {} words", words.len()),
            "Say what it does, with what, and what comes back, in a sentence or two.",
        );
    }
    if adds_nothing(&words, endpoint.name) {
        report.endpoint(
            REPEATED_NAME,
            "The description says what the name says",
            "Say what a reader of the name cannot guess: which records, in which order, with which effect.",
        );
    }
    if !says_when(endpoint.description) {
        report.endpoint(
            NO_OCCASION,
            "The description does not say when to use it",
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
                "Say what it is, in which unit or form, and where a caller has it from.",
            );
        } else if adds_nothing(&words, input.name) {
            report.input(
                REPEATED_NAME,
                input.name,
                "The description says what the name says",
                "Say which one is meant, in which unit or form, and where a caller has it from.",
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

/// Whether every word that bears meaning is in the name already, but for its ending.
fn adds_nothing(words: &[String], name: &str) -> bool {
    const EMPTY: [&str; 14] = [
        "a", "an", "the", "of", "for", "to", "this", "that", "is", "it", "its", "given", "endpoint", "input",
    ];
    let in_name: Vec<&str> = name.split('_').collect();
    let is_said = |word: &String| in_name.iter().any(|part| stem(part) == stem(word));
    !words.is_empty() && words.iter().filter(|word| !EMPTY.contains(&word.as_str())).all(is_said)
}

/// A word without the endings that English gives to one and the same thing.
fn stem(word: &str) -> &str {
    ["ing", "ies", "es", "ed", "s", "y", "e"]
        .iter()
        .find_map(|ending| word.strip_suffix(ending).filter(|stem| stem.len() > 2))
        .unwrap_or(word)
}

/// Whether it names an occasion.
fn says_when(description: &str) -> bool {
    let lower = description.to_lowercase();
    [
        "when", "use it", "use this", "call it", "before", "after", "once ", "if ",
    ]
    .iter()
    .any(|occasion| lower.contains(occasion))
}
