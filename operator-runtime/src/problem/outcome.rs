//! The outcome of a call as one word, which the log, the metrics, the console and the documentation share.

/// The outcome of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The handler returned a value.
    Done,
    /// The stored answer of an earlier call was sent again.
    Replayed,
    /// The handler or an extractor answered with a 4xx status.
    Declined,
    /// An input is invalid, or the body cannot be decoded.
    Invalid,
    /// The sender could not be verified, or the request does not follow the protocol.
    NotVerified,
    StillRunning,
    KeyReused,
    Unknown,
    NotRecorded,
    ResponseNotKept,
    TimedOut,
    /// The handler or an extractor failed with a 5xx status.
    Failed,
    StoreUnavailable,
    /// The server was full or stopping, or the call waited too long behind other work.
    TurnedAway,
}

impl Outcome {
    /// Every outcome, in the order of the enum, so that `outcome as usize` is its index.
    pub(crate) const ALL: [Self; 14] = [
        Self::Done,
        Self::Replayed,
        Self::Declined,
        Self::Invalid,
        Self::NotVerified,
        Self::StillRunning,
        Self::KeyReused,
        Self::Unknown,
        Self::NotRecorded,
        Self::ResponseNotKept,
        Self::TimedOut,
        Self::Failed,
        Self::StoreUnavailable,
        Self::TurnedAway,
    ];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Replayed => "replayed",
            Self::Declined => "declined",
            Self::Invalid => "invalid",
            Self::NotVerified => "not_verified",
            Self::StillRunning => "still_running",
            Self::KeyReused => "key_reused",
            Self::Unknown => "outcome_unknown",
            Self::NotRecorded => "outcome_not_recorded",
            Self::ResponseNotKept => "response_not_kept",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
            Self::StoreUnavailable => "store_unavailable",
            Self::TurnedAway => "turned_away",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn each_outcome_has_its_own_index_and_word() {
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place);
            let same = Outcome::ALL.into_iter().filter(|other| other.word() == outcome.word());
            assert_eq!(same.count(), 1, "{}", outcome.word());
        }
    }
}
