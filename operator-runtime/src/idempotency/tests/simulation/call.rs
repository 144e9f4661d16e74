//! One call on its server, and the answers that its caller may get.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::super::gate::Request;
use super::super::reference::{Attempt, Ending, Taken};
use crate::idempotency::admission::Claim;
use crate::idempotency::doubtful::NotAdmitted;
use crate::idempotency::effect::Effect;
use crate::idempotency::lease::{Lease, LeaseError};
use crate::idempotency::outcome::{Answer, HandlerOutcome};
use crate::problem::Kind;
use crate::record::operation::{Fingerprint, Origin};
use crate::record::{Record, Response};

/// One server's work for one request.
pub(super) struct Call {
    pub(super) server: usize,
    pub(super) asked: Asked,
    pub(super) doing: Doing,
    pub(super) request: Option<Request>,
}

#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) key: u8,
    pub(super) body: u8,
    pub(super) effect: Effect,
    /// The number in the handler's answer.
    pub(super) answer: u32,
}

/// When a call last read the record, and whether the call still has to act on what it read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Looked {
    pub(super) at: u64,
    pub(super) is_news: bool,
}

pub(super) type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(super) enum Doing {
    Asking {
        work: Work<Result<Claim, NotAdmitted>>,
        looked: Looked,
        waits_since: Option<u64>,
        taken: Option<Taken>,
    },
    /// The claim's write failed, but the claim may be in the store.
    TakingBack { work: Work<()>, attempt: Option<Attempt> },
    Running {
        lease: Lease,
        attempt: Attempt,
        renewals: u64,
    },
    Renewing {
        work: Work<(Lease, Result<(), LeaseError>)>,
        attempt: Attempt,
        renewals: u64,
        expected: Option<Written>,
    },
    Ending {
        work: Work<Result<Answer, LeaseError>>,
        attempt: Attempt,
        ending: Ending,
        expected: Option<Written>,
    },
}

/// The result of an attempt's write, as its server knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Yes,
    TakenOver,
    Unanswered,
}

impl Written {
    /// Returns `None` if the attempt found its own unanswered renewal. Then the attempt writes again.
    pub(super) fn of(is_written: bool, owns: bool, is_expired: bool) -> Option<Self> {
        match (is_written, owns) {
            (true, _) => Some(Self::Yes),
            (false, false) => Some(Self::TakenOver),
            // After expiry, the renewal could also belong to a new operation with the same key.
            (false, true) if is_expired => Some(Self::TakenOver),
            (false, true) => None,
        }
    }
}

pub(super) fn check_written(expected: Option<Written>, error: Option<&LeaseError>) {
    let is_right = match expected {
        Some(Written::Yes) => error.is_none(),
        Some(Written::TakenOver) => matches!(error, Some(LeaseError::Lost)),
        Some(Written::Unanswered) => matches!(error, Some(LeaseError::Store(_))),
        None => matches!(error, Some(LeaseError::Overdue)),
    };
    assert!(
        is_right,
        "the write's result was {expected:?}, but the attempt was told {error:?}"
    );
}

/// What callers have seen. These checks do not use the rules.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By key: the answer that callers got, and until when retries must get the same answer.
    kept: BTreeMap<u8, (u32, u64)>,
}

impl Seen {
    pub(super) fn kept(&mut self, key: u8, answer: u32, until: u64) {
        self.kept.insert(key, (answer, until));
    }

    pub(super) fn ran(&mut self, key: u8, looked: u64) {
        if let Some((answer, until)) = self.kept.remove(&key) {
            assert!(
                looked >= until,
                "doubled: {answer} was answered, but the operation runs again"
            );
        }
    }

    pub(super) fn replayed(&self, key: u8, replayed: u32, now: u64) {
        if let Some((answer, until)) = self.kept.get(&key) {
            assert!(
                replayed == *answer || now >= *until,
                "lost: {answer} was answered first, and {replayed} later"
            );
        }
    }
}

pub(in crate::idempotency::tests) fn first(key: u8, body: u8) -> Arc<Record> {
    Arc::new(Record::first(
        Fingerprint::new("POST", "/refunds", "application/json", &[body]),
        Origin::new("refund_order", &key.to_string(), "tenant"),
    ))
}

pub(in crate::idempotency::tests) fn outcome(ending: Ending, answer: u32) -> HandlerOutcome {
    let finished = |status: u16, body: String, retryable: bool| HandlerOutcome::Finished {
        response: Response {
            status: http::StatusCode::from_u16(status).unwrap(),
            content_type: "text/plain".into(),
            body: body.into(),
        },
        kind: retryable.then_some(Kind::Retryable),
    };
    let short = answer.to_string();
    match ending {
        Ending::Done => finished(200, short, false),
        Ending::Refused => finished(404, short, false),
        Ending::Later => finished(429, short, false),
        Ending::Retryable => finished(409, short, true),
        Ending::Failed => finished(500, short, false),
        Ending::TooLong => finished(200, format!("{answer:017}"), false),
        Ending::Panics => HandlerOutcome::Panicked,
        Ending::TakesTooLong => HandlerOutcome::TimedOut,
        Ending::IsInDoubt => HandlerOutcome::Unknown,
    }
}

/// The answer that a caller gets after an attempt with this ending was recorded.
pub(super) fn due_of(outcome: HandlerOutcome) -> Answer {
    match outcome {
        HandlerOutcome::Finished { response, kind } => Answer::Response { response, kind },
        HandlerOutcome::Panicked => Answer::Failed,
        HandlerOutcome::TimedOut | HandlerOutcome::Conflict => Answer::TimedOut,
        HandlerOutcome::Unknown => Answer::Unknown,
    }
}

pub(super) fn number(response: &Response) -> u32 {
    str::from_utf8(&response.body)
        .ok()
        .and_then(|text| text.parse().ok())
        .expect("a number as the answer")
}
