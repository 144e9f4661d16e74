//! The problems that an endpoint can answer with, from the table in `problem` and the endpoint's error types.

use std::collections::BTreeMap;

use crate::endpoint::Endpoint;
use crate::endpoint::need::NeedKind;
use crate::idempotency::effect::Effect;
use crate::idempotency::machine::is_kept;
use crate::problem::{Kind, ProblemSpec};
use crate::protocol::request::RefusalKind;

/// One kind of problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The last part of the problem's type URI.
    pub(crate) slug: &'static str,
    pub(crate) status: u16,
    /// The text. For a documented error, it contains placeholders.
    pub(crate) words: &'static str,
    pub(crate) has_retry_after: bool,
    /// Whether the problem may be the stored answer of an earlier attempt.
    pub(crate) is_replayed: bool,
}

impl Problem {
    fn of(kind: Kind) -> Self {
        let row = kind.row();
        Self {
            slug: row.slug,
            status: row.status,
            words: row.title,
            has_retry_after: row.retry_after.is_some(),
            is_replayed: false,
        }
    }

    /// Marks the problem as the answer of a call that has started. Such an answer is stored like a handler's answer.
    fn of_run(self, effect: Effect) -> Self {
        let is_replayed = effect.is_recorded() && is_kept(self.status, self.has_retry_after, effect);
        Self { is_replayed, ..self }
    }

    /// The problem of an extractor's rejection, which keeps the rejection's status.
    pub(crate) fn rejected(status: u16, effect: Effect) -> Self {
        let words = if status >= 500 {
            "The server could not prepare this request and has not started it."
        } else {
            "The server could not read what this endpoint needs from the request's headers."
        };
        let problem = Self::of(Kind::Rejected(status));
        Self { words, ..problem }.of_run(effect)
    }
}

/// The problems that the endpoint's error types document. The endpoint's effect decides which problem an unknown outcome
/// is. If nothing can have taken effect, it is answered like any failure, which no error type documents.
pub(super) fn declared(endpoint: &Endpoint) -> impl Iterator<Item = ProblemSpec> {
    let of_an_unknown_outcome = match endpoint.effect {
        Effect::AtMostOnce => Some(ProblemSpec::UNKNOWN),
        Effect::Rerunnable => Some(ProblemSpec::TRY_AGAIN),
        Effect::Transactional | Effect::ReadOnly => None,
    };
    let specs = endpoint.problems.iter().flat_map(|problems| problems());
    specs.filter_map(move |spec| match *spec {
        ProblemSpec::UNKNOWN => of_an_unknown_outcome,
        spec => Some(spec),
    })
}

/// Every problem of an endpoint, by status.
pub(crate) fn of(endpoint: &Endpoint) -> BTreeMap<u16, Vec<Problem>> {
    let mut by_status: BTreeMap<u16, Vec<Problem>> = BTreeMap::new();
    let mut add = |problem: Problem| {
        let several = by_status.entry(problem.status).or_default();
        if !several.iter().any(|other| other.slug == problem.slug) {
            several.push(problem);
        }
    };
    for spec in declared(endpoint) {
        let problem = Problem {
            slug: spec.kind,
            status: spec.status,
            words: spec.detail,
            has_retry_after: spec.retryable,
            is_replayed: false,
        };
        // An operation whose outcome is unknown has no answer that could be replayed.
        add(if spec == ProblemSpec::UNKNOWN {
            problem
        } else {
            problem.of_run(endpoint.effect)
        });
    }
    // Inputs are decoded after the operation has started, so an error in the inputs is the operation's answer.
    for kind in [Kind::InvalidInput, Kind::Malformed, Kind::Internal] {
        add(Problem::of(kind).of_run(endpoint.effect));
    }
    if endpoint.limits.is_some() {
        add(Problem::of(Kind::OverLimit).of_run(endpoint.effect));
    }
    for kind in of_any_endpoint() {
        add(Problem::of(kind));
    }
    if endpoint.effect.is_recorded() {
        add(Problem::of(Kind::StillRunning));
        add(Problem::of(Kind::KeyReused));
        add(Problem::of(Kind::ResponseNotKept));
        add(Problem::of(Kind::StoreFull));
        add(Problem::of(Kind::OutcomeNotRecorded));
    }
    if endpoint.effect == Effect::Transactional {
        add(Problem::of(Kind::Queued));
        add(Problem::of(Kind::AnswerTooLong));
        add(Problem::of(Kind::Undone));
    }
    if endpoint.effect == Effect::AtMostOnce {
        add(Problem::of(Kind::OutcomeUnknown));
    } else {
        add(Problem::of(Kind::TimedOut));
    }
    if has_any_status(endpoint) {
        for (status, problems) in &mut by_status {
            problems.push(Problem::rejected(*status, endpoint.effect));
        }
    }
    by_status
}

/// Whether the endpoint has an extractor, which may refuse with any status.
pub(crate) fn has_any_status(endpoint: &Endpoint) -> bool {
    endpoint
        .needs
        .iter()
        .any(|need| matches!(need.kind, NeedKind::Extracted(_)))
}

fn of_any_endpoint() -> Vec<Kind> {
    vec![
        Kind::Refused(RefusalKind::MalformedSignature),
        Kind::Refused(RefusalKind::StaleTimestamp),
        Kind::Refused(RefusalKind::SignatureMismatch),
        Kind::TooSlow,
        Kind::TooLarge,
        Kind::Refused(RefusalKind::UnsupportedMediaType),
        Kind::OverRate(1),
        Kind::Full,
        Kind::Stopping,
        // A read-only endpoint may read the store's database.
        Kind::Unavailable,
    ]
}
