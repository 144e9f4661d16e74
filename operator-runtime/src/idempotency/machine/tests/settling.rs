//! Which operations a person may settle, and what the record is afterwards.

use std::sync::Arc;

use super::*;
use crate::record::Settlement;

fn settlement() -> Arc<Settlement> {
    Arc::new(Settlement {
        by: "ana".to_owned(),
        at: std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
    })
}

pub(super) fn settled(state: State, ages: Ages, effect: Effect, finding: &Finding) -> Result<Record, NothingToSettle> {
    settle(held(state), ages, effect, &Settings::default(), finding, &settlement())
}

#[test]
fn a_person_can_settle_only_an_unknown_outcome() {
    let lease = SECOND * 15;
    for effect in EFFECTS {
        for finding in [Finding::Done(response()), Finding::NotDone] {
            let settled = |state, ages| settled(state, ages, effect, &finding);
            let expected = Record {
                state: match &finding {
                    Finding::Done(response) => State::Completed(response.clone()),
                    Finding::NotDone => State::Released,
                },
                settlement: Some(settlement()),
                ..held(State::Unknown)
            };
            assert_eq!(settled(State::Unknown, ages(100, 100)), Ok(expected.clone()));
            let lost = if effect == Effect::AtMostOnce {
                Ok(expected)
            } else {
                Err(NothingToSettle::RunsAgain)
            };
            assert_eq!(settled(State::InProgress, ages(15, 100)), lost);
            for (state, refused) in [
                (State::InProgress, NothingToSettle::Running { lease }),
                (State::Released, NothingToSettle::Released),
                (State::Completed(response()), NothingToSettle::Completed),
                (State::NotKept, NothingToSettle::NotKept),
            ] {
                assert_eq!(settled(state, ages(14, 100)), Err(refused));
            }
            assert_eq!(settled(State::Unknown, ages(100, 3_600)), Err(NothingToSettle::Expired));
        }
    }
}

/// Nothing is left to decide, but what the operation has reserved of limits may have to be given back again.
#[test]
fn what_a_person_has_released_is_told_apart_if_no_attempt_can_have_acted_since() {
    let released = Record {
        settlement: Some(settlement()),
        ..held(State::Released)
    };
    for effect in EFFECTS {
        let expected = if effect == Effect::AtMostOnce {
            NothingToSettle::SettledAsNotDone
        } else {
            NothingToSettle::Released
        };
        let found = needs_a_person(&released, ages(100, 100), effect, &Settings::default());
        assert_eq!(found, Err(expected), "{effect:?}");
    }
}

#[test]
fn a_settled_operation_keeps_who_settled_it_when_it_runs_again() {
    let released = settled(State::Unknown, ages(1, 1), Effect::AtMostOnce, &Finding::NotDone).expect("unknown");
    let step = claim(
        released.clone(),
        ages(1, 1),
        &asked(),
        Effect::AtMostOnce,
        &Settings::default(),
    );
    let Decision::Claim(record, FirstSeen::Keep) = step else {
        panic!("the operation does not run: {step:?}")
    };
    assert_eq!((record.epoch, record.settlement), (4, Some(settlement())));
}
