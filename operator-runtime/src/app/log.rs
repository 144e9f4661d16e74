//! The log: written to standard error as text, or as JSON with `OPERATOR_LOG=json`; filtered by `RUST_LOG`. Panics are
//! logged too.

mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::ffi::OsStr;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use self::queue::Queue;
use super::{SettingName, StartError, StartProblem};
use crate::pipeline::execution::panic_is_logged;

const FORMAT: SettingName = SettingName::Variable("OPERATOR_LOG");
const FILTER: SettingName = SettingName::Variable("RUST_LOG");
/// The filter if `RUST_LOG` is not set.
const UNSET: &str = "info,rmcp=warn";

/// Panics are logged whatever `RUST_LOG` says of other lines. They have a target of their own, so that
/// `operator_runtime::panic=off` turns them off.
const PANICS: &str = "operator_runtime::panic=error";

/// How long the program waits at its end until the last lines are written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The queue of the installed log.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Installs the log and a panic hook that writes to it, unless the program has installed its own log.
///
/// # Errors
/// If `OPERATOR_LOG` is not a known format, `RUST_LOG` is not a valid filter, or the log's thread cannot be started.
/// There is no fallback, because it would hide the mistake until somebody needs the log.
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
    let queue = Queue::open(std::io::stderr()).map_err(|error| {
        let sentence = format!("The thread of the log cannot be started: {error}. Allow this process more threads.");
        StartError::new(vec![StartProblem::new(sentence).caused_by(error)])
    })?;
    let _ = QUEUE.set(queue.clone());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(queue);
    // An error means that the program has installed its own log, which takes precedence.
    let installed = match format {
        Format::Json => log.json().try_init(),
        Format::Text => log
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .try_init(),
    };
    if installed.is_ok() {
        // The default hook writes to standard error itself. While nobody reads that, the hook would block its thread.
        std::panic::set_hook(Box::new(log_panic));
    }
    Ok(())
}

/// Logs a panic. If it happens in a handler, the line belongs to the span of the call.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    let thread = std::thread::current();
    tracing::error!(
        target: "operator_runtime::panic",
        panic = panic.payload_as_str().unwrap_or("no message"),
        place = panic.location().map(tracing::field::display),
        thread = thread.name(),
        backtrace,
        "a handler or another task of the program panicked"
    );
    panic_is_logged();
    // The process may be about to end, without the flush at the end of the program.
    if cfg!(panic = "abort") || thread.name() == Some("main") {
        flush();
    }
}

/// Waits until the log has been written, for at most a second. Called before the process ends, and before it prints why
/// it ends.
pub(crate) fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(LAST_LINES);
    }
}

/// The filter; an empty `RUST_LOG` counts as not set.
fn filter(given: Option<&OsStr>) -> Result<EnvFilter, StartProblem> {
    let given = given.unwrap_or_default();
    let wrong = |why: &str| {
        let sentence = format!(
            "{FILTER} is `{}`, which is not a valid log filter{why}: set {FILTER} to a level (error, warn, info, debug, trace or off) or to levels of crates, such as info,my_crate=debug, or leave it unset.",
            given.display()
        );
        StartProblem::of(FILTER, sentence)
    };
    match given.to_str().map(str::trim) {
        Some("") => Ok(EnvFilter::new(format!("{PANICS},{UNSET}"))),
        Some(text) => match text.split(',').find(|directive| is_lone_word(directive)) {
            Some(word) => Err(wrong(&format!(
                " (`{word}` is not a level; to log a crate of that name, write `{word}=trace`)"
            ))),
            None => EnvFilter::try_new(format!("{PANICS},{text}"))
                .map_err(|error| wrong(&format!(" ({error})")).caused_by(error)),
        },
        None => Err(wrong("")),
    }
}

/// Whether `EnvFilter` would read the directive as the name of a crate. It is more likely a misspelt level, and then
/// almost nothing would be logged.
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
                    "{FORMAT} is `{}`, which is not a log format: set {FORMAT} to json or text, or leave it unset.",
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

    use super::{Format, PANICS, UNSET, filter};

    #[test]
    fn unknown_formats_are_refused() {
        let of = |given: Option<&str>| Format::of(given.map(OsStr::new));
        assert_eq!(of(None).ok(), Some(Format::Text));
        assert_eq!(of(Some("text")).ok(), Some(Format::Text));
        assert_eq!(of(Some("json")).ok(), Some(Format::Json));
        assert!(of(Some("JSON")).unwrap_err().to_string().contains("`JSON`"));
    }

    #[test]
    fn an_invalid_filter_is_refused_and_an_empty_one_counts_as_unset() {
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
        for given in ["my_crate=debug", "my_crate::module=debug", "off"] {
            let filter = of(Some(given)).expect(given);
            let mut directives: Vec<&str> = filter.split(',').collect();
            directives.retain(|directive| *directive != PANICS);
            assert_eq!((directives, filter.contains(PANICS)), (vec![given], true));
        }
        let without_panics = of(Some("operator_runtime::panic=off")).expect("a directive");
        assert!(!without_panics.contains(PANICS), "{without_panics}");
        for nonsense in ["info,my_crate=loud", "nonsense", "warn,my crate", "[[["] {
            let error = of(Some(nonsense)).expect_err(nonsense);
            assert!(error.starts_with(&format!("RUST_LOG is `{nonsense}`")), "{error}");
        }
    }
}
