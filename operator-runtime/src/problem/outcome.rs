//! What came of a call, in one word: the same in the log, the figures, the console and the documentation.

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The handler answered.
    Done,
    /// The answer of an earlier call was given again.
    Replayed,
    /// The handler refused with a 4xx.
    Declined,
    /// An input is wrong, or the body cannot be read.
    Invalid,
    /// The request did not show who sent it, or is none of this protocol.
    NotVerified,
    StillRunning,
    KeyReused,
    OutcomeUnknown,
    OutcomeNotRecorded,
    ResponseNotKept,
    TimedOut,
    /// The handler failed with a 5xx.
    Failed,
    StoreUnavailable,
    /// The server was full or stopping, or other work was before the call.
    TurnedAway,
}

impl Outcome {
    /// Every outcome, in the order of the enum.
    pub(crate) const ALL: [Self; 14] = [
        Self::Done,
        Self::Replayed,
        Self::Declined,
        Self::Invalid,
        Self::NotVerified,
        Self::StillRunning,
        Self::KeyReused,
        Self::OutcomeUnknown,
        Self::OutcomeNotRecorded,
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
            Self::OutcomeUnknown => "outcome_unknown",
            Self::OutcomeNotRecorded => "outcome_not_recorded",
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
    fn each_outcome_has_a_place_and_a_word_of_its_own() {
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place);
            let same = Outcome::ALL.into_iter().filter(|other| other.word() == outcome.word());
            assert_eq!(same.count(), 1, "{}", outcome.word());
        }
    }
}
