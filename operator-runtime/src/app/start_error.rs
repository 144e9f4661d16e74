//! Why an app cannot start: every problem, each with the setting to change.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::config::SettingName;

/// Why an app cannot start. The error contains every problem, not only the first one.
///
/// Its text is meant for the person who starts the program:
///
/// ```
/// use std::error::Error;
/// use operator_runtime::{App, Config, SettingName};
///
/// let config = Config::new().signing_key("op_sk_live_…").public_url("http://api.example.com").store("memory:");
/// let error = App::new().config(config).check().unwrap_err();
/// let problem = error.problems().find(|problem| problem.setting() == Some(SettingName::Method("Config::public_url")));
/// let problem = problem.unwrap();
/// assert!(problem.to_string().starts_with("The public URL `http://api.example.com` is not https"));
/// assert!(error.to_string().contains(&problem.to_string()));
/// assert!(problem.source().is_some());
/// ```
#[derive(Clone, Debug)]
pub struct StartError(Vec<StartProblem>);

impl StartError {
    pub(crate) fn new(problems: Vec<StartProblem>) -> Self {
        Self(problems)
    }

    /// The problems, of which there is at least one.
    pub fn problems(&self) -> impl ExactSizeIterator<Item = &StartProblem> {
        self.0.iter()
    }

    #[cfg(feature = "cli")]
    pub(super) fn into_problems(self) -> Vec<StartProblem> {
        self.0
    }
}

impl From<StartProblem> for StartError {
    fn from(problem: StartProblem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => write!(formatter, "The app cannot start. {only}"),
            several => {
                write!(formatter, "The app cannot start, for {} reasons:", several.len())?;
                several
                    .iter()
                    .try_for_each(|problem| write!(formatter, "\n  - {problem}"))
            }
        }
    }
}

impl Error for StartError {
    /// The first cause of a problem. The problems themselves are not sources, because the text already contains them.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.iter().find_map(StartProblem::source)
    }
}

/// One reason why an app cannot start. Its text is a sentence that says what is wrong and what to do.
#[derive(Clone, Debug)]
pub struct StartProblem {
    setting: Option<SettingName>,
    sentence: String,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl StartProblem {
    /// A problem that no setting causes, such as two endpoints at one path.
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self {
            setting: None,
            sentence: sentence.into(),
            cause: None,
        }
    }

    pub(crate) fn of(setting: SettingName, sentence: impl Into<String>) -> Self {
        Self {
            setting: Some(setting),
            ..Self::new(sentence)
        }
    }

    pub(crate) fn caused_by(self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            cause: Some(Arc::from(cause.into())),
            ..self
        }
    }

    /// The setting to change, by the name that the program or its environment used.
    #[must_use]
    pub fn setting(&self) -> Option<SettingName> {
        self.setting
    }
}

impl fmt::Display for StartProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.sentence)
    }
}

impl Error for StartProblem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::{StartError, StartProblem};
    use crate::app::SettingName;

    #[test]
    fn all_problems_are_told_and_the_first_cause_is_the_source() {
        let listen = SettingName::Variable("OPERATOR_LISTEN");
        let error = StartError::new(vec![
            StartProblem::new("Two endpoints answer at `/a`."),
            StartProblem::of(listen, "The port is taken.").caused_by(std::io::Error::other("in use")),
        ]);
        assert_eq!(
            error.to_string(),
            "The app cannot start, for 2 reasons:\n  - Two endpoints answer at `/a`.\n  - The port is taken."
        );
        assert_eq!(error.source().unwrap().to_string(), "in use");
        let settings: Vec<_> = error.problems().map(StartProblem::setting).collect();
        assert_eq!(settings, [None, Some(listen)]);
        let debug = format!("{error:?}");
        assert!(
            debug.contains("OPERATOR_LISTEN") && debug != error.to_string(),
            "{debug}"
        );
        let one = StartError::from(StartProblem::new("No endpoint is linked."));
        assert_eq!(one.to_string(), "The app cannot start. No endpoint is linked.");
        assert!(one.source().is_none());
    }
}
