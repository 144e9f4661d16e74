//! An error and its causes in one line, because drivers spread the details over the chain of sources.

use std::error::Error;

pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let cause = source.to_string();
        // Some errors already end with the text of their source; adding it again would repeat it.
        if !words.ends_with(&cause) {
            words.push_str(": ");
            words.push_str(&cause);
        }
        next = source.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::with_causes;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Said(&'static str, #[source] Option<Box<Self>>);

    #[test]
    fn each_cause_appears_once() {
        let source = Some(Box::new(Said("connection reset", None)));
        assert_eq!(
            with_causes(&Said("could not read", source)),
            "could not read: connection reset"
        );
        let source = Some(Box::new(Said("timed out", None)));
        assert_eq!(
            with_causes(&Said("could not read: timed out", source)),
            "could not read: timed out"
        );
    }
}
