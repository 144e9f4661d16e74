//! The log: readable unless `OPERATOR_LOG=json`, to standard error, filtered by `RUST_LOG`.

use std::ffi::OsStr;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::{SettingName, StartError, StartProblem};

const FORMAT: SettingName = SettingName::Variable("OPERATOR_LOG");
const FILTER: SettingName = SettingName::Variable("RUST_LOG");
/// What is logged where `RUST_LOG` does not say.
const UNSET: &str = "info,rmcp=warn";

/// Installs the log, unless the program has one of its own.
///
/// # Errors
/// Where `OPERATOR_LOG` names no format, or `RUST_LOG` is no filter: a log that its reader cannot parse, or that does not
/// hold what it should, is found out too late.
pub(crate) fn install() -> Result<(), StartError> {
    let format = Format::of(std::env::var_os("OPERATOR_LOG").as_deref());
    let filter = filter(std::env::var_os("RUST_LOG").as_deref());
    let (format, filter) = match (format, filter) {
        (Ok(format), Ok(filter)) => (format, filter),
        (format, filter) => {
            let problems = format.err().into_iter().chain(filter.err());
            return Err(StartError::new(problems.collect()));
        }
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // An error here means that the program installed its own, which wins.
    let _ = match format {
        Format::Json => log.json().try_init(),
        Format::Text => log
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .try_init(),
    };
    Ok(())
}

/// What is logged; empty is as unset.
fn filter(given: Option<&OsStr>) -> Result<EnvFilter, StartProblem> {
    let given = given.unwrap_or_default();
    let wrong = |why: &str| {
        let sentence = format!(
            "{FILTER} is `{}`, which does not say what to log{why}: set {FILTER} to a level (error, warn, info, debug, trace or off) or to levels of crates, such as info,my_crate=debug, or leave it unset.",
            given.display()
        );
        StartProblem::of(FILTER, sentence)
    };
    match given.to_str().map(str::trim) {
        Some("") => Ok(EnvFilter::new(UNSET)),
        Some(text) => match text.split(',').find(|directive| is_lone_word(directive)) {
            Some(word) => Err(wrong(&format!(
                " (`{word}` is not a level; to log a crate of that name, write `{word}=trace`)"
            ))),
            None => EnvFilter::try_new(text).map_err(|error| wrong(&format!(" ({error})")).caused_by(error)),
        },
        None => Err(wrong("")),
    }
}

/// Whether it would be taken for the name of a crate, and is more likely a mistaken level: then nothing would be logged.
fn is_lone_word(directive: &str) -> bool {
    !directive.contains(['=', ':', '[']) && directive.parse::<LevelFilter>().is_err()
}

#[derive(Debug, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

impl Format {
    fn of(given: Option<&OsStr>) -> Result<Self, StartProblem> {
        let given = given.unwrap_or_default();
        match given.to_str() {
            Some("" | "text") => Ok(Self::Text),
            Some("json") => Ok(Self::Json),
            _ => {
                let sentence = format!(
                    "{FORMAT} is `{}`, which is not a format of the log: set {FORMAT} to json or text, or leave it unset.",
                    given.display()
                );
                Err(StartProblem::of(FORMAT, sentence))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::{Format, UNSET, filter};

    #[test]
    fn only_the_formats_that_there_are_are_taken() {
        let of = |given: Option<&str>| Format::of(given.map(OsStr::new));
        assert_eq!(of(None).ok(), Some(Format::Text));
        assert_eq!(of(Some("text")).ok(), Some(Format::Text));
        assert_eq!(of(Some("json")).ok(), Some(Format::Json));
        assert!(of(Some("JSON")).unwrap_err().to_string().contains("`JSON`"));
    }

    #[test]
    fn a_filter_that_is_none_is_refused_and_an_empty_one_is_as_unset() {
        let of = |given: Option<&str>| match filter(given.map(OsStr::new)) {
            Ok(filter) => Ok(filter.to_string()),
            Err(problem) => Err(problem.to_string()),
        };
        let unset = of(None);
        assert!(
            unset.as_ref().is_ok_and(|filter| filter.contains("info")),
            "{UNSET}: {unset:?}"
        );
        assert_eq!(of(Some("")), unset);
        assert_eq!(of(Some(" ")), unset);
        for filter in ["my_crate=debug", "my_crate::module=debug", "off"] {
            assert_eq!(of(Some(filter)), Ok(filter.to_owned()));
        }
        for nonsense in ["info,my_crate=loud", "nonsense", "warn,my crate", "[[["] {
            let error = of(Some(nonsense)).expect_err(nonsense);
            assert!(error.starts_with(&format!("RUST_LOG is `{nonsense}`")), "{error}");
        }
    }
}
