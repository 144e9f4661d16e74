//! The steps of a random history.

use proptest::prelude::*;

use super::super::reference::Ending;
use super::AMOUNTS;

#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Call {
        key: usize,
        ends: Ends,
    },
    /// The attempt that has run longest ends.
    End {
        ending: Ending,
    },
    /// The attempt that has waited longest reserves, and goes on.
    GoOn {
        ends: Ends,
    },
    Settle {
        key: usize,
        is_done: bool,
    },
    Wait {
        seconds: u32,
    },
    Sweep,
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ends {
    /// The attempt waits before it reserves, perhaps for longer than its lease, and goes on in a later step.
    BeforeReserving,
    With(Ending),
    /// The handler runs until a later step, perhaps for longer than its lease.
    Late,
    /// The process is killed while the handler runs.
    Killed,
    /// The process is killed after it has released an operation that ended with "not now", and before it gives anything back.
    KilledAfterLater,
    /// The process is killed after it has recorded that the handler refuses, and before it gives anything back.
    KilledAfterRefusal,
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ends = || {
        prop_oneof![
            4 => Just(Ends::With(Ending::Done)),
            2 => Just(Ends::With(Ending::Refused)),
            1 => Just(Ends::With(Ending::Later)),
            2 => Just(Ends::With(Ending::Retryable)),
            1 => Just(Ends::With(Ending::Failed)),
            1 => Just(Ends::With(Ending::Panics)),
            1 => Just(Ends::With(Ending::TakesTooLong)),
            2 => Just(Ends::With(Ending::IsInDoubt)),
            2 => Just(Ends::Late),
            3 => Just(Ends::Killed),
            1 => Just(Ends::KilledAfterLater),
            1 => Just(Ends::KilledAfterRefusal),
        ]
    };
    let key = 0..AMOUNTS.len();
    let step = prop_oneof![
        10 => (key.clone(), prop_oneof![9 => ends(), 1 => Just(Ends::BeforeReserving)])
            .prop_map(|(key, ends)| Step::Call { key, ends }),
        1 => ends().prop_map(|ends| Step::GoOn { ends }),
        2 => prop_oneof![Just(Ending::Done), Just(Ending::Refused), Just(Ending::Retryable)]
            .prop_map(|ending| Step::End { ending }),
        3 => (key, any::<bool>()).prop_map(|(key, is_done)| Step::Settle { key, is_done }),
        4 => (1..9_u32).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Sweep),
    ];
    prop::collection::vec(step, 1..50)
}
