//! Checks each cell of the tables on the design page.

use proptest::prelude::*;

use super::*;
use crate::record::operation::{Fingerprint, Origin};

mod diagram;
mod settling;

const EFFECTS: [Effect; 4] = [
    Effect::ReadOnly,
    Effect::AtMostOnce,
    Effect::Rerunnable,
    Effect::Transactional,
];
const SECOND: Duration = Duration::from_secs(1);

fn asked() -> Record {
    first(b"{}", "key")
}

fn other() -> Record {
    first(b"{ }", "other key")
}

fn first(body: &[u8], key: &str) -> Record {
    Record::first(
        Fingerprint::new("POST", "/refunds", "application/json", body),
        Origin::new("refund_order", key, "tenant"),
    )
}

fn response() -> Response {
    Response {
        status: http::StatusCode::OK,
        content_type: "application/json".into(),
        body: "{}".into(),
    }
}

fn states() -> [State; 5] {
    [
        State::InProgress,
        State::Released,
        State::Completed(response()),
        State::NotKept,
        State::Unknown,
    ]
}

fn held(state: State) -> Record {
    Record {
        epoch: 3,
        state,
        ..asked()
    }
}

fn ages(written: u64, first_seen: u64) -> Ages {
    Ages {
        since_written: SECOND * u32::try_from(written).expect("small"),
        since_first_seen: SECOND * u32::try_from(first_seen).expect("small"),
    }
}

fn ask(state: State, ages: Ages, effect: Effect) -> Decision {
    claim(held(state), ages, &asked(), effect, &Settings::default())
}

fn next_attempt() -> Decision {
    let record = Record {
        epoch: 4,
        ..held(State::InProgress)
    };
    Decision::Claim(record, FirstSeen::Keep)
}

#[test]
fn an_ended_operation_is_answered_from_its_record_whatever_the_effect() {
    for effect in EFFECTS {
        let ages = ages(100, 100);
        assert_eq!(
            ask(State::Completed(response()), ages, effect),
            Decision::Tell(Recorded::Replayed(response()))
        );
        assert_eq!(
            ask(State::NotKept, ages, effect),
            Decision::Tell(Recorded::ResponseNotKept)
        );
        assert_eq!(
            ask(State::Unknown, ages, effect),
            Decision::Tell(Recorded::OutcomeUnknown)
        );
        assert_eq!(ask(State::Released, ages, effect), next_attempt());
    }
}

#[test]
fn a_request_waits_for_a_live_attempt() {
    for effect in EFFECTS {
        assert_eq!(
            ask(State::InProgress, ages(14, 100), effect),
            Decision::Tell(Recorded::StillRunning)
        );
    }
}

#[test]
fn a_lost_attempt_runs_again_unless_its_effect_is_at_most_once() {
    for effect in EFFECTS {
        let expected = match effect {
            Effect::AtMostOnce => Decision::GiveUp(held(State::Unknown)),
            Effect::ReadOnly | Effect::Rerunnable | Effect::Transactional => next_attempt(),
        };
        assert_eq!(ask(State::InProgress, ages(15, 100), effect), expected, "{effect:?}");
    }
}

#[test]
fn another_request_with_the_same_key_is_refused_in_every_state() {
    for state in states() {
        for age in [0, 20, 3_599] {
            let step = claim(
                held(state.clone()),
                ages(age, age),
                &other(),
                Effect::AtMostOnce,
                &Settings::default(),
            );
            assert_eq!(step, Decision::Tell(Recorded::KeyReused), "{state:?}");
        }
    }
}

#[test]
fn an_expired_record_counts_as_absent() {
    for state in states() {
        for first in [asked(), other()] {
            let step = claim(
                held(state.clone()),
                ages(3_600, 3_600),
                &first,
                Effect::AtMostOnce,
                &Settings::default(),
            );
            assert_eq!(step, Decision::Claim(first, FirstSeen::Reset), "{state:?}");
        }
    }
}

#[test]
fn a_live_attempt_does_not_expire() {
    assert_eq!(
        ask(State::InProgress, ages(1, 10_000), Effect::AtMostOnce),
        Decision::Tell(Recorded::StillRunning)
    );
}

const LIMIT: usize = 256 * 1024;

/// What an attempt leaves in the store, without the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Completed,
    /// The answer of a transaction, without its effects.
    Refused,
    Released,
    TooLong,
    Unknown,
    RolledBack,
}

fn finished(status: u16, retryable: bool, size: usize) -> HandlerOutcome {
    HandlerOutcome::Finished {
        response: Response {
            status: http::StatusCode::from_u16(status).expect("a status"),
            body: vec![b' '; size].into(),
            ..response()
        },
        kind: retryable.then_some(Kind::Retryable),
    }
}

/// What an attempt without a transaction leaves in the store, and the answer for its caller.
fn after(outcome: HandlerOutcome, effect: Effect) -> (Kept, Answer) {
    let (state, answer) = finish(outcome, effect, &Settings::default());
    let kept = match state {
        State::Completed(_) => Kept::Completed,
        State::Released => Kept::Released,
        State::NotKept => Kept::TooLong,
        State::Unknown => Kept::Unknown,
        State::InProgress => panic!("an attempt that has ended is in progress"),
    };
    (kept, answer)
}

fn after_transaction(outcome: HandlerOutcome) -> (Kept, Answer) {
    let (after, answer) = finish_transaction(outcome, &Settings::default());
    let kept = match after {
        AfterTransaction::Completed(_) => Kept::Completed,
        AfterTransaction::Refused(_) => Kept::Refused,
        AfterTransaction::RolledBack => Kept::RolledBack,
    };
    (kept, answer)
}

/// The columns: status, whether the error is marked `retryable`, size of the answer; then what is kept if the effect is
/// at most once, rerunnable, and transactional.
type Row = (u16, bool, usize, Kept, Kept, Kept);

#[test]
fn every_outcome_leaves_what_the_table_says() {
    use Kept::{Completed, Refused, Released, RolledBack, TooLong};
    let table: &[Row] = &[
        (200, false, LIMIT, Completed, Completed, Completed),
        (201, false, 0, Completed, Completed, Completed),
        (303, false, 0, Completed, Completed, Completed),
        (400, false, 0, Completed, Completed, Refused),
        (404, false, LIMIT, Completed, Completed, Refused),
        (499, false, 0, Completed, Completed, Refused),
        (408, false, 0, Released, Released, RolledBack),
        (425, false, 0, Released, Released, RolledBack),
        (429, false, 0, Released, Released, RolledBack),
        (404, true, 0, Released, Released, RolledBack),
        (503, true, LIMIT + 1, Released, Released, RolledBack),
        (500, false, 0, Completed, Released, RolledBack),
        (500, false, LIMIT + 1, TooLong, Released, RolledBack),
        (200, false, LIMIT + 1, TooLong, TooLong, RolledBack),
    ];
    for &(status, retryable, size, once, again, transactional) in table {
        let outcome = finished(status, retryable, size);
        let HandlerOutcome::Finished { response, kind } = outcome.clone() else {
            panic!("not finished")
        };
        let told = Answer::Response { response, kind };
        let row = (status, retryable, size);
        assert_eq!(
            after(outcome.clone(), Effect::AtMostOnce),
            (once, told.clone()),
            "{row:?}"
        );
        assert_eq!(
            after(outcome.clone(), Effect::Rerunnable),
            (again, told.clone()),
            "{row:?}"
        );
        let told = if status == 200 && size > LIMIT {
            Answer::TooLong { limit: LIMIT }
        } else {
            told
        };
        assert_eq!(after_transaction(outcome), (transactional, told), "{row:?}");
    }
}

#[test]
fn a_handler_that_does_not_finish_leaves_what_the_table_says() {
    let ends = [
        (HandlerOutcome::Panicked, Kept::Unknown, Answer::Failed),
        (HandlerOutcome::TimedOut, Kept::Unknown, Answer::TimedOut),
        (HandlerOutcome::Conflict, Kept::Released, Answer::TimedOut),
        (HandlerOutcome::Unknown, Kept::Unknown, Answer::Unknown),
    ];
    for (outcome, once, told) in ends {
        assert_eq!(after(outcome.clone(), Effect::AtMostOnce), (once, told.clone()));
        assert_eq!(
            after(outcome.clone(), Effect::Rerunnable),
            (Kept::Released, told.clone())
        );
        let told = if outcome == HandlerOutcome::Unknown {
            Answer::Failed
        } else {
            told
        };
        assert_eq!(after_transaction(outcome), (Kept::RolledBack, told));
    }
}

#[test]
fn only_read_only_calls_are_not_recorded() {
    for effect in EFFECTS {
        assert_eq!(effect.is_recorded(), effect != Effect::ReadOnly);
    }
}

#[test]
fn a_lease_is_never_renewed_past_the_longest_execution() {
    let settings = Settings::default();
    assert!(may_renew(11, SECOND * 60, &settings));
    assert!(!may_renew(12, SECOND * 60, &settings));
}

#[test]
fn records_outlive_every_retry() {
    let check = |ttl, max_execution| {
        let settings = Settings {
            ttl: SECOND * ttl,
            ..Settings::default()
        };
        settings.check(SECOND * max_execution)
    };
    assert_eq!(check(3_600, 60), Ok(()));
    assert_eq!(check(421, 60), Ok(()));
    assert!(check(420, 60).is_err());
    assert!(Settings::default().check(Duration::MAX).is_err());
}

#[test]
fn settings_that_break_the_promise_are_refused() {
    let problems = |change: fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.problems().join(" ")
    };
    assert_eq!(problems(|_| ()), "");
    assert_eq!(problems(|settings| settings.lease = settings.renew_every * 2), "");
    let short = problems(|settings| settings.lease = settings.renew_every * 2 - Duration::from_millis(1));
    assert!(
        short.starts_with("`lease` is 9.999s and `renew_every` is 5s"),
        "{short}"
    );
    assert!(problems(|settings| settings.renew_every = Duration::MAX).contains("`lease` is"));
    assert!(problems(|settings| settings.renew_every = Duration::ZERO).contains("`renew_every` is 0"));
    assert_eq!(problems(|settings| settings.lease = SECOND * 60), "");
    assert!(problems(|settings| settings.lease = SECOND * 61).contains("`lease` is 61s"));
    assert_eq!(problems(|settings| settings.ttl = SECOND * 23 * 3_600), "");
    assert!(problems(|settings| settings.ttl = SECOND * (23 * 3_600 + 1)).contains("`ttl` is 82801s"));
    assert!(problems(|settings| settings.wait = SECOND * 61).contains("`wait` is 61s"));
    assert!(problems(|settings| settings.wait = Duration::ZERO).contains("`wait` is 0"));
    assert!(problems(|settings| settings.response_limit = 0).contains("`response_limit` is 0"));
}

proptest! {
    #[test]
    fn at_most_once_never_runs_again_where_an_effect_may_have_happened(state in 0_usize..5, written in 0_u64..3_599, before in 0_u64..3_599) {
        let state = states()[state].clone();
        let ages = ages(written.min(before), before);
        if let Decision::Claim(..) = ask(state.clone(), ages, Effect::AtMostOnce) {
            prop_assert_eq!(state, State::Released);
        }
    }
}
