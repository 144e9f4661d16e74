//! Histories: random sequences of events of an operation. Proptest can shrink them.

use proptest::prelude::*;

use super::reference::Ending;
use crate::idempotency::effect::Effect;

pub(super) const SERVERS: usize = 3;

/// Selects one of the calls for a key at a server by its position, oldest first. If there is no such call, the action
/// does nothing. So removing an action from a history does not change the meaning of the other actions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who {
    pub(super) server: usize,
    pub(super) key: u8,
    pub(super) place: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    /// A request arrives at a server.
    Call {
        server: usize,
        key: u8,
        body: u8,
        effect: Effect,
    },
    /// A call continues until its next request to the store.
    GoOn {
        who: Who,
        fate: Fate,
    },
    /// A running handler renews its lease.
    Renew {
        who: Who,
    },
    /// A running handler ends.
    End {
        who: Who,
        ending: Ending,
    },
    /// A transactional request arrives, and its transaction runs to its end.
    Transact {
        server: usize,
        key: u8,
        body: u8,
        ending: Ending,
        fate: CommitFate,
    },
    /// Transactional requests for one operation arrive at two servers at once.
    TransactTwice {
        servers: [usize; 2],
        key: u8,
        bodies: [u8; 2],
        endings: [Ending; 2],
    },
    /// A person settles an operation of an endpoint with this effect.
    Settle {
        key: u8,
        effect: Effect,
        is_done: bool,
    },
    /// A server crashes and loses all its calls.
    Crash {
        server: usize,
    },
    Pass {
        seconds: u64,
    },
    Sweep {
        server: usize,
    },
}

/// The fate of a compare-and-swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    /// The store carries it out, but the answer is lost.
    AnswerLost,
    /// The store cannot be reached, so nothing is written.
    NotReached,
    /// The store carries it out, but the server crashes before the answer arrives.
    CrashAfter,
}

/// The fate of a transaction's commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum CommitFate {
    #[default]
    Answered,
    /// The store commits, but the answer is lost.
    AnswerLost,
    /// The store commits, the answer is lost, and the lookup of the commit fails too.
    AnswerLostForGood,
    /// The commit request is lost. The server cannot tell this from a lost answer.
    NotReached,
    /// The server crashes before the commit.
    CrashBefore,
    /// The store commits, but the server crashes before the answer arrives.
    CrashAfter,
}

impl CommitFate {
    pub(super) fn arrives(self) -> bool {
        !matches!(self, Self::NotReached | Self::CrashBefore)
    }

    pub(super) fn is_crash(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter)
    }
}

pub(super) fn histories() -> impl Strategy<Value = Vec<Action>> {
    prop::collection::vec(actions(), 1..120)
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0..SERVERS, keys(), bodies(), effects())
            .prop_map(|(server, key, body, effect)| Action::Call { server, key, body, effect }),
        20 => (who(), fates()).prop_map(|(who, fate)| Action::GoOn { who, fate }),
        4 => who().prop_map(|who| Action::Renew { who }),
        6 => (who(), endings()).prop_map(|(who, ending)| Action::End { who, ending }),
        2 => (0..SERVERS, keys(), bodies(), endings(), commit_fates())
            .prop_map(|(server, key, body, ending, fate)| Action::Transact { server, key, body, ending, fate }),
        1 => ([0..SERVERS, 0..SERVERS], keys(), [bodies(), bodies()], [endings(), endings()])
            .prop_map(|(servers, key, bodies, endings)| Action::TransactTwice { servers, key, bodies, endings }),
        2 => (keys(), effects(), any::<bool>())
            .prop_map(|(key, effect, is_done)| Action::Settle { key, effect, is_done }),
        1 => (0..SERVERS).prop_map(|server| Action::Crash { server }),
        3 => prop::sample::select(&[1, 4, 5, 10, 15, 60][..]).prop_map(|seconds| Action::Pass { seconds }),
        1 => (0..SERVERS).prop_map(|server| Action::Sweep { server }),
    ]
}

fn who() -> impl Strategy<Value = Who> {
    let place = prop_oneof![3 => Just(0_usize), 1 => Just(1)];
    (0..SERVERS, keys(), place).prop_map(|(server, key, place)| Who { server, key, place })
}

fn keys() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(0_u8), 1 => Just(1)]
}

fn bodies() -> impl Strategy<Value = u8> {
    prop_oneof![10 => Just(0_u8), 1 => Just(1)]
}

fn effects() -> impl Strategy<Value = Effect> {
    prop::sample::select(&[Effect::AtMostOnce, Effect::Rerunnable][..])
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Answered),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::NotReached),
        1 => Just(Fate::CrashAfter),
    ]
}

fn commit_fates() -> impl Strategy<Value = CommitFate> {
    use CommitFate::{AnswerLost, AnswerLostForGood, Answered, CrashAfter, CrashBefore, NotReached};
    let lost = &[AnswerLost, AnswerLostForGood, NotReached, CrashBefore, CrashAfter][..];
    prop_oneof![1 => Just(Answered), 1 => prop::sample::select(lost)]
}

fn endings() -> impl Strategy<Value = Ending> {
    prop_oneof![
        4 => Just(Ending::Done),
        1 => Just(Ending::Refused),
        1 => Just(Ending::Later),
        1 => Just(Ending::Retryable),
        1 => Just(Ending::Failed),
        1 => Just(Ending::TooLong),
        1 => Just(Ending::Panics),
        1 => Just(Ending::TakesTooLong),
        1 => Just(Ending::IsInDoubt),
    ]
}
