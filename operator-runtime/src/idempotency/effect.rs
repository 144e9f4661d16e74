//! The effect that an endpoint declares.

/// What a handler changes. This decides what a retry may do after a crash while the handler runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// Nothing: no record is kept.
    ReadOnly,
    /// Something in another system (a payment provider, a mail server). After a crash, retries are told that the
    /// outcome is unknown.
    AtMostOnce,
    /// Something that may safely happen twice. After a crash, a retry runs the handler again.
    Rerunnable,
    /// Something in the transaction that also writes the record: both are committed, or neither is.
    Transactional,
}

impl Effect {
    /// Whether calls are recorded, so that a retry gets the recorded answer.
    #[must_use]
    pub fn is_recorded(self) -> bool {
        self != Self::ReadOnly
    }

    /// The effect's name in documents.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::AtMostOnce => "at_most_once",
            Self::Rerunnable => "rerunnable",
            Self::Transactional => "transactional",
        }
    }

    /// The effect with this name.
    #[cfg(feature = "cli")]
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [Self::ReadOnly, Self::AtMostOnce, Self::Rerunnable, Self::Transactional];
        all.into_iter().find(|effect| effect.name() == name)
    }

    /// The effect in words, for tables that people read.
    #[cfg(feature = "cli")]
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::ReadOnly => "read only",
            Self::AtMostOnce => "at most once",
            Self::Rerunnable => "rerunnable",
            Self::Transactional => "transactional",
        }
    }

    /// Whether the handler may run again after an attempt was lost.
    #[must_use]
    pub(crate) fn may_run_again(self) -> bool {
        self != Self::AtMostOnce
    }
}
