//! A program whose dependency on the runtime has another name.

use ops::{App, OperatorError, SearchParam, SearchParams, endpoints, operator_api};

/// How a word is shown.
#[derive(Clone, Copy, SearchParam, serde::Serialize)]
#[operator(crate = "ops")]
enum Case {
    /// As it is.
    Same,
    /// In capitals.
    Capitals,
}

/// A word.
#[derive(SearchParam)]
#[operator(crate = "ops")]
struct Word(String);

/// Which part of a list.
#[derive(SearchParams, serde::Deserialize, ops::schemars::JsonSchema)]
#[operator(crate = "ops")]
#[schemars(crate = "ops::schemars")]
struct Page {
    /// How many to return.
    limit: Option<u8>,
}

/// Why a word is not shown.
#[derive(OperatorError)]
#[operator(crate = "ops")]
enum Refused {
    /// {word} is too long.
    #[operator(status = 409)]
    Long { word: String },
}

/// Why nothing is counted.
#[derive(OperatorError)]
#[operator(crate = "ops", status = 404)]
/// There is nothing.
struct Nothing;

/// Shows a word. Use it to see how the word looks.
#[operator_api(GET, "/shown", crate = "ops")]
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
#[operator_api(POST, "/counted", read_only, crate = "ops")]
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

#[cfg(feature = "foreign")]
mod foreign {
    use ops::operator_api;

    /// Takes values of other crates. Use it to search.
    #[operator_api(GET, "/searched", crate = ops)]
    async fn searched(
        /// From chrono.
        chrono: chrono::NaiveDate,
        /// From jiff.
        jiff: jiff::Timestamp,
        /// From `rust_decimal`.
        decimal: rust_decimal::Decimal,
        /// From time.
        time: time::Date,
        /// From url.
        url: url::Url,
        /// From uuid.
        uuid: uuid::Uuid,
    ) {
    }

    /// Takes and returns values of other crates. Use it to keep them.
    #[operator_api(POST, "/kept", crate = ops)]
    async fn kept(
        /// From bytes.
        bytes: bytes::Bytes,
        /// From uuid.
        uuid: Option<uuid::Uuid>,
    ) -> Vec<uuid::Uuid> {
        Vec::new()
    }
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    App::new().only(endpoints![shown, counted]).run().await
}
