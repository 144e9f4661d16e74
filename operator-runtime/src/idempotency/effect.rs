//! What an endpoint declares about its effects.

/// What running a handler changes, and so what a retry may do after a crash in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// Nothing: no record is kept.
    ReadOnly,
    /// Something elsewhere (a payment provider, a mail): after a crash the retry is told that the outcome is unknown.
    AtMostOnce,
    /// Something that may safely happen twice: after a crash the retry runs again.
    Rerunnable,
    /// Something in the transaction that also holds the record: both are kept or neither.
    Transactional,
}

impl Effect {
    /// Whether calls are recorded, and so replayed.
    #[must_use]
    pub fn is_recorded(self) -> bool {
        self != Self::ReadOnly
    }

    /// For a table that people read.
    #[cfg(feature = "cli")]
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::ReadOnly => "read only",
            Self::AtMostOnce => "at most once",
            Self::Rerunnable => "rerunnable",
            Self::Transactional => "transactional",
        }
    }

    /// Whether the handler may run again when nobody knows how far the last run came.
    #[must_use]
    pub(crate) fn may_run_again(self) -> bool {
        self != Self::AtMostOnce
    }
}
