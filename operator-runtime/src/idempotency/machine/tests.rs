//! The tables of the design, cell by cell.

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

fn ask(state: State, ages: Ages, effect: Effect) -> Step {
    claim(&held(state), ages, &asked(), effect, &Settings::default())
}

fn next_attempt() -> Step {
    let record = Record {
        epoch: 4,
        ..held(State::InProgress)
    };
    Step::Claim(record, FirstSeen::Keep)
}

#[test]
fn what_is_over_is_answered_the_same_whatever_the_effect() {
    for effect in EFFECTS {
        let ages = ages(100, 100);
        assert_eq!(
            ask(State::Completed(response()), ages, effect),
            Step::Replay(response())
        );
        assert_eq!(ask(State::NotKept, ages, effect), Step::NotKept);
        assert_eq!(ask(State::Unknown, ages, effect), Step::Unknown);
        assert_eq!(ask(State::Released, ages, effect), next_attempt());
    }
}

#[test]
fn a_live_attempt_is_waited_for() {
    for effect in EFFECTS {
        assert_eq!(ask(State::InProgress, ages(14, 100), effect), Step::Wait);
    }
}

#[test]
fn a_lost_attempt_is_followed_by_another_unless_the_effect_may_happen_once_only() {
    for effect in EFFECTS {
        let expected = match effect {
            Effect::AtMostOnce => Step::GiveUp(held(State::Unknown)),
            Effect::ReadOnly | Effect::Rerunnable | Effect::Transactional => next_attempt(),
        };
        assert_eq!(ask(State::InProgress, ages(15, 100), effect), expected, "{effect:?}");
    }
}

#[test]
fn another_request_under_the_same_key_is_a_mistake_in_every_state() {
    for state in states() {
        for age in [0, 20, 3_599] {
            let step = claim(
                &held(state.clone()),
                ages(age, age),
                &other(),
                Effect::AtMostOnce,
                &Settings::default(),
            );
            assert_eq!(step, Step::Mismatch, "{state:?}");
        }
    }
}

#[test]
fn an_expired_record_is_as_if_absent() {
    for state in states() {
        for first in [asked(), other()] {
            let step = claim(
                &held(state.clone()),
                ages(3_600, 3_600),
                &first,
                Effect::AtMostOnce,
                &Settings::default(),
            );
            assert_eq!(step, Step::Claim(first, FirstSeen::Reset), "{state:?}");
        }
    }
}

#[test]
fn a_live_attempt_does_not_expire() {
    assert_eq!(ask(State::InProgress, ages(1, 10_000), Effect::AtMostOnce), Step::Wait);
}

const LIMIT: usize = 256 * 1024;

/// Status, marked retryable, size; then what is kept: at most once, may run again, transactional.
type Row = (u16, bool, usize, After, After, AfterTransaction, Reply);

#[test]
fn every_outcome_leaves_what_the_table_says() {
    use AfterTransaction::{Refused, RolledBack};
    let table: &[Row] = &[
        (
            200,
            false,
            LIMIT,
            After::Completed,
            After::Completed,
            AfterTransaction::Completed,
            Reply::Response,
        ),
        (
            201,
            false,
            0,
            After::Completed,
            After::Completed,
            AfterTransaction::Completed,
            Reply::Response,
        ),
        (
            303,
            false,
            0,
            After::Completed,
            After::Completed,
            AfterTransaction::Completed,
            Reply::Response,
        ),
        (
            400,
            false,
            0,
            After::Completed,
            After::Completed,
            Refused,
            Reply::Response,
        ),
        (
            404,
            false,
            LIMIT,
            After::Completed,
            After::Completed,
            Refused,
            Reply::Response,
        ),
        (
            499,
            false,
            0,
            After::Completed,
            After::Completed,
            Refused,
            Reply::Response,
        ),
        (
            408,
            false,
            0,
            After::Released,
            After::Released,
            RolledBack,
            Reply::Response,
        ),
        (
            425,
            false,
            0,
            After::Released,
            After::Released,
            RolledBack,
            Reply::Response,
        ),
        (
            429,
            false,
            0,
            After::Released,
            After::Released,
            RolledBack,
            Reply::Response,
        ),
        (
            404,
            true,
            0,
            After::Released,
            After::Released,
            RolledBack,
            Reply::Response,
        ),
        (
            503,
            true,
            LIMIT + 1,
            After::Released,
            After::Released,
            RolledBack,
            Reply::Response,
        ),
        (
            500,
            false,
            0,
            After::Completed,
            After::Released,
            RolledBack,
            Reply::Response,
        ),
        (
            500,
            false,
            LIMIT + 1,
            After::NotKept,
            After::Released,
            RolledBack,
            Reply::Response,
        ),
        (
            200,
            false,
            LIMIT + 1,
            After::NotKept,
            After::NotKept,
            RolledBack,
            Reply::TooLong { limit: LIMIT },
        ),
    ];
    for &(status, retryable, size, once, again, transactional, told) in table {
        let event = Event::Finished {
            status,
            retryable,
            size,
        };
        let settings = Settings::default();
        assert_eq!(
            finish(event, Effect::AtMostOnce, &settings),
            (once, Reply::Response),
            "{event:?}"
        );
        assert_eq!(
            finish(event, Effect::Rerunnable, &settings),
            (again, Reply::Response),
            "{event:?}"
        );
        assert_eq!(finish_transaction(event, &settings), (transactional, told), "{event:?}");
    }
}

#[test]
fn a_handler_that_did_not_end_leaves_what_the_table_says() {
    let settings = Settings::default();
    for (event, told) in [(Event::Panicked, Reply::Failed), (Event::TimedOut, Reply::TimedOut)] {
        assert_eq!(finish(event, Effect::AtMostOnce, &settings), (After::Unknown, told));
        assert_eq!(finish(event, Effect::Rerunnable, &settings), (After::Released, told));
        assert_eq!(
            finish_transaction(event, &settings),
            (AfterTransaction::RolledBack, told)
        );
    }
}

#[test]
fn only_reading_is_not_recorded() {
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
fn no_number_breaks_what_callers_count_on() {
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
        if let Step::Claim(..) = ask(state.clone(), ages, Effect::AtMostOnce) {
            prop_assert_eq!(state, State::Released);
        }
    }
}
