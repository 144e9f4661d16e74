//! A program that depends only on a company's own crate, which re-exports the runtime.

use linked_wrapper::all::{App, OperatorError, SearchParam, SearchParams, endpoints, operator_api};
use linked_wrapper::greeting;

/// How a word is shown.
#[derive(Clone, Copy, SearchParam, linked_wrapper::serde::Serialize)]
#[operator(crate = "linked_wrapper::all")]
#[serde(crate = "linked_wrapper::serde")]
enum Case {
    /// As it is.
    Same,
    /// In capitals.
    Capitals,
}

/// A word.
#[derive(SearchParam)]
#[operator(crate = "linked_wrapper::all")]
struct Word(String);

/// Which part of a list.
#[derive(SearchParams, linked_wrapper::serde::Deserialize, linked_wrapper::rt::schemars::JsonSchema)]
#[operator(crate = "linked_wrapper::all")]
#[serde(crate = "linked_wrapper::serde")]
#[schemars(crate = "linked_wrapper::rt::schemars")]
struct Page {
    /// How many to return.
    limit: Option<u8>,
}

/// Why a word is not shown.
#[derive(OperatorError)]
#[operator(crate = "linked_wrapper::all")]
enum Refused {
    /// {word} is too long.
    #[operator(status = 409)]
    Long { word: String },
}

/// Why nothing is counted.
#[derive(OperatorError)]
#[operator(crate = "linked_wrapper::all", status = 404)]
/// There is nothing.
struct Nothing;

/// Shows a word. Use it to see how the word looks.
#[operator_api(GET, "/shown", crate = "linked_wrapper::all")]
async fn shown(
    /// The word to show.
    #[operator(max_length = 9, example = "tea")]
    word: Word,
    /// How to show it.
    #[operator(default = Case::Same)]
    case: Case,
    #[operator(flatten)] page: Page,
) -> Result<String, Refused> {
    let Word(word) = word;
    if word.len() > usize::from(page.limit.unwrap_or(9)) {
        return Err(Refused::Long { word });
    }
    Ok(match case {
        Case::Same => word,
        Case::Capitals => word.to_uppercase(),
    })
}

/// Counts something. Use it to see that nothing is there.
#[operator_api(POST, "/counted", read_only, crate = "linked_wrapper::all")]
async fn counted(
    /// What to count.
    words: Vec<String>,
) -> Result<usize, Nothing> {
    if words.is_empty() {
        Err(Nothing)
    } else {
        Ok(words.len())
    }
}

greeting!(hello, "/hello", "hello");

#[cfg(feature = "without-crate")]
mod without_crate {
    use linked_wrapper::rt::{OperatorError, SearchParam, SearchParams, operator_api};

    /// Counts the orders. Use it to count them.
    #[operator_api(GET, "/orders")]
    async fn orders() -> u8 {
        1
    }

    #[derive(SearchParam)]
    enum Case {
        Same,
    }

    #[derive(SearchParams)]
    struct Page {
        limit: u8,
    }

    #[derive(OperatorError)]
    enum Refused {
        /// The word is too long.
        Long,
    }
}

fn main() -> std::process::ExitCode {
    let runtime = linked_wrapper::tokio::runtime::Runtime::new().expect("the runtime starts");
    runtime.block_on(App::new().only(endpoints![shown, counted, hello]).run())
}
