//! Random histories of one limited value, compared with a second, naive implementation of the rules; and the sentences.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::sentence::{Over, Room};
use super::window::Window;
use super::{Counted, Holder, Limit, LimitedValue, Reservation, Reserved};

const WINDOW: Duration = Duration::from_secs(10);

/// A step of a history. Operations are numbered from 1.
#[derive(Debug, Clone, Copy)]
enum Step {
    Reserve {
        operation: u64,
        epoch: u32,
        amount: u64,
    },
    GiveBack {
        operation: u64,
        epoch: u32,
    },
    Wait {
        seconds: u64,
    },
    /// A release with another maximum.
    Allow {
        max: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // The small amounts let a window hold more than `FEW`.
    let (operation, epoch, amount) = (1..9_u64, 1..4_u32, prop_oneof![1..3_u64, 1..9_u64]);
    let step = prop_oneof![
        6 => (operation.clone(), epoch.clone(), amount)
            .prop_map(|(operation, epoch, amount)| Step::Reserve { operation, epoch, amount }),
        2 => (operation, epoch).prop_map(|(operation, epoch)| Step::GiveBack { operation, epoch }),
        2 => (0..7_u64).prop_map(|seconds| Step::Wait { seconds }),
        1 => (1..20_u64).prop_map(|max| Step::Allow { max }),
    ];
    prop::collection::vec(step, 1..60)
}

/// The rules once more: every reservation is kept for ever, and each question looks at all of them.
#[derive(Default)]
struct Reference(BTreeMap<u64, (u32, u64, Duration)>);

impl Reference {
    fn used(&self, now: Duration) -> u64 {
        let live = self.0.values().filter(|(_, _, ends)| *ends > now);
        live.map(|(_, amount, _)| amount).sum()
    }

    /// Whether the operation may act.
    fn reserve(&mut self, operation: u64, epoch: u32, amount: u64, max: u64, now: Duration) -> bool {
        let own = self.0.get(&operation).copied().filter(|(_, _, ends)| *ends > now);
        let (own_epoch, own_amount) = own.map_or((0, 0), |(epoch, amount, _)| (epoch, amount));
        if amount > own_amount && self.used(now) + (amount - own_amount) > max {
            return false;
        }
        if epoch > own_epoch || amount > own_amount {
            let kept = (epoch.max(own_epoch), amount.max(own_amount), now + WINDOW);
            self.0.insert(operation, kept);
        }
        true
    }

    fn give_back(&mut self, operation: u64, epoch: u32) {
        if self.0.get(&operation).is_some_and(|(held, _, _)| *held <= epoch) {
            self.0.remove(&operation);
        }
    }
}

fn holder(operation: u64, epoch: u32) -> Holder {
    Holder {
        serial: NonZeroU64::new(operation).expect("operations are numbered from 1"),
        epoch,
    }
}

fn asked(operation: u64, epoch: u32, amount: u64, max: u64) -> Reservation {
    Reservation {
        value: LimitedValue::from_bytes([0; 32]),
        holder: holder(operation, epoch),
        amount,
        max,
        window: WINDOW,
    }
}

proptest! {
    #[test]
    fn every_history_ends_as_the_reference_says(steps in steps()) {
        let (mut window, mut reference) = (Window::default(), Reference::default());
        let (mut now, mut max) = (Duration::ZERO, 10);
        for step in steps {
            match step {
                Step::Reserve { operation, epoch, amount } => {
                    // A call that alone asks for more is refused before the store is asked.
                    let amount = amount.min(max);
                    let before = reference.used(now);
                    let granted = reference.reserve(operation, epoch, amount, max, now);
                    let answer = window.reserve(&asked(operation, epoch, amount, max), now);
                    prop_assert_eq!(granted, matches!(answer, Reserved::Granted { .. }), "{:?}", step);
                    if let Reserved::Over { used, room_in } = answer {
                        prop_assert_eq!(used, before);
                        prop_assert!(room_in > Duration::ZERO && room_in <= WINDOW);
                        // After this time there is room, if nothing else is reserved and the amount is within the maximum.
                        let later = now + room_in;
                        prop_assert!(reference.used(later) + amount <= max || reference.0.contains_key(&operation));
                    }
                }
                Step::GiveBack { operation, epoch } => {
                    // A reservation that has ended cannot be given back. The reference still has it.
                    reference.give_back(operation, epoch);
                    window.expire(now);
                    window.give_back(holder(operation, epoch));
                }
                Step::Wait { seconds } => now += Duration::from_secs(seconds),
                Step::Allow { max: changed } => max = changed,
            }
            prop_assert_eq!(window.used(now), reference.used(now), "{:?}", step);
        }
        window.expire(now + WINDOW);
        prop_assert!(window.is_empty() && window.used(now) == 0);
    }
}

#[test]
fn an_operation_counts_once_however_often_it_is_tried() {
    let (mut window, now) = (Window::default(), Duration::ZERO);
    let anew = |answer| matches!(answer, Reserved::Granted { anew: true });
    assert!(anew(window.reserve(&asked(1, 1, 6, 10), now)));
    for epoch in 1..5 {
        assert!(!anew(window.reserve(&asked(1, epoch, 6, 10), now)));
    }
    assert_eq!(window.used(now), 6);
    // The operation was let through, so it is let through again, even if the maximum was lowered meanwhile.
    assert!(matches!(
        window.reserve(&asked(1, 5, 6, 3), now),
        Reserved::Granted { anew: false }
    ));
    assert!(matches!(
        window.reserve(&asked(2, 1, 1, 3), now),
        Reserved::Over { used: 6, .. }
    ));
}

#[test]
fn a_call_removes_only_a_part_of_what_has_ended() {
    let (mut window, now) = (Window::default(), Duration::ZERO);
    for operation in 1..=1_200 {
        window.reserve(&asked(operation, 1, 1, 2_000), now);
    }
    window.reserve(&asked(2_000, 1, 10, 2_000), now + WINDOW / 2);
    let now = now + WINDOW;
    assert_eq!(window.used(now), 10);
    let anew = Reserved::Granted { anew: true };
    // What has ended cannot be taken over, removed or not.
    assert_eq!(window.reserve(&asked(1_200, 2, 5, 2_000), now), anew);
    assert_eq!(window.used(now), 15);
    assert_eq!(window.expire_some(100, now), 100, "699 are left");
    // Less than the rest is free before more of what has ended is removed.
    let answer = window.reserve(&asked(2_001, 1, 1_986, 2_000), now);
    assert!(matches!(answer, Reserved::Over { used: 15, .. }), "{answer:?}");
    assert_eq!(window.expire_some(100, now), 0, "a call is refused by the exact sum");
    assert_eq!(window.reserve(&asked(2_001, 1, 1_985, 2_000), now), anew);
    assert_eq!(window.used(now), 2_000);
}

#[test]
fn a_late_attempt_gives_nothing_back_that_a_later_one_needs() {
    let (mut window, now) = (Window::default(), Duration::ZERO);
    window.reserve(&asked(1, 1, 6, 10), now);
    window.reserve(&asked(1, 2, 6, 10), now);
    window.give_back(holder(1, 1));
    assert_eq!(window.used(now), 6);
    window.give_back(holder(1, 2));
    assert!(window.is_empty() && window.used(now) == 0);
}

#[test]
fn the_largest_amounts_do_not_overflow() {
    const MOST: u64 = (1 << 53) - 1;
    let (mut window, now) = (Window::default(), Duration::ZERO);
    assert!(matches!(
        window.reserve(&asked(1, 1, MOST, MOST), now),
        Reserved::Granted { .. }
    ));
    assert!(matches!(
        window.reserve(&asked(2, 1, MOST, MOST), now),
        Reserved::Over { used: MOST, .. }
    ));
    assert!(matches!(
        window.reserve(&asked(3, 1, 1, MOST), now),
        Reserved::Over { .. }
    ));
}

const REFUNDS: Limit = Limit {
    counted: Counted::Sum("amount_cents"),
    max: 10_000,
    per: &["order_id"],
    window: Duration::from_secs(24 * 60 * 60),
};
const CALLS: Limit = Limit {
    counted: Counted::Calls,
    max: 20,
    per: &[],
    window: Duration::from_secs(60 * 60),
};

#[test]
fn a_limit_is_one_sentence() {
    assert_eq!(
        REFUNDS.sentence(),
        "The sum of `amount_cents` may be at most 10000 within 24 hours for each `order_id`; a call over the limit is refused with 403."
    );
    let once = Limit {
        max: 1,
        per: &["a", "b", "c"],
        window: Duration::from_secs(31 * 24 * 60 * 60),
        ..CALLS
    };
    assert_eq!(
        once.to_string(),
        "at most 1 call is allowed within 31 days for each `a`, `b` and `c`"
    );
    let short = Limit {
        per: &["a", "b"],
        window: Duration::from_secs(90),
        ..CALLS
    };
    assert_eq!(
        short.to_string(),
        "at most 20 calls are allowed within 90 seconds for each `a` and `b`"
    );
}

#[test]
fn a_call_over_the_limit_is_told_what_is_left_and_when_there_is_room() {
    let over = Over {
        limit: &REFUNDS,
        amount: 1_000,
        room: Some(Room {
            used: 9_500,
            at: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        }),
        may_have_acted: false,
    };
    assert_eq!(
        over.to_string(),
        "This call was not carried out, because it would exceed a limit: the sum of `amount_cents` may be at most 10000 within 24 hours for each `order_id`. The call asks for 1000, 9500 of 10000 are used, and 500 are left. There is room for this call from 2023-11-14T22:13:20Z on, with a new idempotency key."
    );
    let never = Over {
        amount: 10_001,
        room: None,
        ..over
    };
    assert!(never.to_string().ends_with(
        "for each `order_id`. The call asks for 10001. Such a call is never within the limit: ask for less."
    ));
    let calls = Over {
        limit: &CALLS,
        amount: 1,
        may_have_acted: false,
        room: over.room.map(|room| Room { used: 20, ..room }),
    };
    assert!(
        calls
            .to_string()
            .contains("within 1 hour. 20 of 20 are used. There is room")
    );
    let retry = |over| Over {
        may_have_acted: true,
        ..over
    };
    for over in [retry(over), retry(never), retry(calls)] {
        let said = over.to_string();
        assert!(said.starts_with("This retry was not carried out"), "{said}");
        assert!(
            said.ends_with(". An earlier attempt may have been carried out: ask a person to find out before you repeat the operation."),
            "{said}"
        );
        assert!(
            !said.contains("new idempotency key") && !said.contains("ask for less"),
            "{said}"
        );
    }
}

#[test]
fn every_part_of_a_limit_but_its_maximum_separates_what_is_counted() {
    let value = |limit: &Limit, tenant: &str, endpoint: &str, per: &str| limit.value(tenant, endpoint, per);
    let first = value(&REFUNDS, "shop", "refund", "{}");
    assert_eq!(first, value(&Limit { max: 5, ..REFUNDS }, "shop", "refund", "{}"));
    for other in [
        value(&CALLS, "shop", "refund", "{}"),
        value(&REFUNDS, "shop2", "refund", "{}"),
        value(&REFUNDS, "shop", "refunds", "{}"),
        value(&REFUNDS, "shop", "refund", "{\"order_id\":1}"),
        value(
            &Limit {
                window: Duration::from_secs(1),
                ..REFUNDS
            },
            "shop",
            "refund",
            "{}",
        ),
        value(
            &Limit {
                counted: Counted::Sum("cents"),
                ..REFUNDS
            },
            "shop",
            "refund",
            "{}",
        ),
        value(&REFUNDS, "shop", "refund", &"9".repeat(10_000)),
    ] {
        assert_ne!(first, other);
    }
}
