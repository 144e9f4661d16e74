//! The outcome of a call as one word, which the log, the metrics, the console and the documentation share.

#[cfg(feature = "cli")]
use super::Kind;
#[cfg(feature = "cli")]
use crate::record::Response;

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
    /// The operation would exceed a limit of its endpoint.
    OverLimit,
    StillRunning,
    KeyReused,
    Unknown,
    NotRecorded,
    ResponseNotKept,
    TimedOut,
    /// The handler or an extractor failed with a 5xx status.
    Failed,
    StoreUnavailable,
    /// The server was full or stopping, the credential was over its rate, or the call waited too long behind other work.
    TurnedAway,
}

impl Outcome {
    /// Every outcome, in the order of the enum, so that `outcome as usize` is its index.
    pub(crate) const ALL: [Self; 15] = [
        Self::Done,
        Self::Replayed,
        Self::Declined,
        Self::Invalid,
        Self::NotVerified,
        Self::OverLimit,
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

    /// The outcome of the call that got this answer, for an operation whose answer was kept.
    #[cfg(feature = "cli")]
    pub(crate) fn of_answer(answer: &Response) -> Self {
        match answer.status.as_u16() {
            ..400 => Self::Done,
            400 if is_of(answer, &[Kind::InvalidInput, Kind::Malformed]) => Self::Invalid,
            403 if is_of(answer, &[Kind::OverLimit]) => Self::OverLimit,
            400..500 => Self::Declined,
            _ => Self::Failed,
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Replayed => "replayed",
            Self::Declined => "declined",
            Self::Invalid => "invalid",
            Self::NotVerified => "not_verified",
            Self::OverLimit => "over_limit",
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

/// Whether the answer is a problem of one of these kinds. The title is compared as well, because the name of a variant of a
/// program's own error can be the name of a kind.
#[cfg(feature = "cli")]
fn is_of(answer: &Response, kinds: &[Kind]) -> bool {
    #[derive(serde::Deserialize)]
    struct Problem<'p> {
        #[serde(borrow)]
        r#type: std::borrow::Cow<'p, str>,
        #[serde(borrow)]
        title: std::borrow::Cow<'p, str>,
    }
    let Ok(problem) = serde_json::from_slice::<Problem<'_>>(&answer.body) else {
        return false;
    };
    let slug = super::slug_of(&problem.r#type);
    let is_named = |kind: &Kind| slug == Some(kind.row().slug) && problem.title == kind.row().title;
    kinds.iter().any(is_named)
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[cfg(feature = "cli")]
    #[test]
    fn a_kept_answer_has_the_outcome_of_the_call_that_got_it() {
        use super::super::{Error, PROBLEM_JSON, problem};
        use crate::record::Response;
        for error in [
            Error::invalid("order_id", "It is not a number."),
            Error::malformed("The body is not JSON.".to_owned()),
            problem("too-old", 400, false, "The order is too old.".to_owned()),
            problem("invalid-input", 400, false, "The order is too old.".to_owned()),
            problem("malformed-request", 400, false, "The order is too old.".to_owned()),
            problem("over-limit", 403, false, "The order is too dear.".to_owned()),
            Error::not_found("There is no order 7."),
            Error::rejected(403, "Gate"),
            Error::new(super::Kind::OverLimit, "Enough for today."),
            Error::internal("a disk failed"),
            problem("provider-failed", 502, false, "The provider has failed.".to_owned()),
        ] {
            let answer = Response::new(error.status(), PROBLEM_JSON, error.to_body());
            assert_eq!(Outcome::of_answer(&answer), error.kind().row().outcome, "{error:?}");
        }
        let value = |body: &'static str| Response::new(http::StatusCode::OK, "application/json", body.into());
        assert_eq!(Outcome::of_answer(&value("1")), Outcome::Done);
    }

    #[test]
    fn each_outcome_has_its_own_index_and_word() {
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place);
            let same = Outcome::ALL.into_iter().filter(|other| other.word() == outcome.word());
            assert_eq!(same.count(), 1, "{}", outcome.word());
        }
    }
}
