//! The reference model: a second implementation of the rules for an operation, written from the design page alone.

use std::collections::HashMap;

use crate::idempotency::effect::Effect;

/// In seconds, like all times in this file.
pub(super) const TTL: u64 = 60;
pub(super) const LEASE: u64 = 15;
pub(super) const RENEW_EVERY: u64 = 5;
pub(super) const WAIT: u64 = 10;
pub(super) const MAX_EXECUTION: u64 = 30;
/// In bytes.
pub(super) const LONGEST_ANSWER: usize = 16;

/// How a handler in a history ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// 200.
    Done,
    /// 404.
    Refused,
    /// 429: not now.
    Later,
    /// An error marked `retryable`.
    Retryable,
    /// 500.
    Failed,
    /// 200, with a body longer than the limit for kept answers.
    TooLong,
    Panics,
    TakesTooLong,
    /// The handler does not know whether it has acted.
    IsInDoubt,
}

/// What a request for an operation may do, or must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Run { epoch: u32 },
    GiveUp,
    Replay { answer: u32 },
    Wait,
    Mismatch,
    Unknown,
    TooLong,
}

/// The number of one run of a handler, unique in its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt(u32);

/// What a request's claim has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// An attempt is in progress.
    Run(Attempt),
    /// The outcome is unknown, so no attempt may run.
    GivenUp,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Reference {
    operations: HashMap<u8, Operation>,
    attempts: u32,
}

#[derive(Debug, Clone, Copy)]
struct Operation {
    body: u8,
    epoch: u32,
    first_seen: u64,
    sign_of_life: u64,
    progress: Progress,
    /// Whether a person has said that an attempt was not done.
    was_settled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Runs { owner: Attempt },
    Released,
    Over { answer: u32 },
    TooLong,
    Unknown,
}

impl Reference {
    /// The expected result for a request that reads the record at `now`.
    pub(super) fn ask(&self, key: u8, body: u8, effect: Effect, now: u64) -> Verdict {
        let Some(operation) = self.operations.get(&key) else {
            return Verdict::Run { epoch: 1 };
        };
        let is_running = matches!(operation.progress, Progress::Runs { .. });
        let is_alive = is_running && now - operation.sign_of_life < LEASE;
        if now - operation.first_seen >= TTL && !is_alive {
            return Verdict::Run { epoch: 1 };
        }
        if operation.body != body {
            return Verdict::Mismatch;
        }
        match operation.progress {
            Progress::Runs { .. } if is_alive => Verdict::Wait,
            Progress::Runs { .. } if effect == Effect::AtMostOnce => Verdict::GiveUp,
            Progress::Runs { .. } | Progress::Released => Verdict::Run {
                epoch: operation.epoch + 1,
            },
            Progress::Over { answer } => Verdict::Replay { answer },
            Progress::TooLong => Verdict::TooLong,
            Progress::Unknown => Verdict::Unknown,
        }
    }

    /// Records a claim that a request wrote at `now`. The request had read the record at `looked`, and nothing was
    /// written in between.
    pub(super) fn take(&mut self, key: u8, body: u8, effect: Effect, looked: u64, now: u64) -> Taken {
        match self.ask(key, body, effect, looked) {
            Verdict::Run { epoch } => {
                self.attempts += 1;
                let owner = Attempt(self.attempts);
                let (first_seen, was_settled) = match self.operations.get(&key) {
                    Some(operation) if epoch > 1 => (operation.first_seen, operation.was_settled),
                    _ => (now, false),
                };
                self.operations.insert(
                    key,
                    Operation {
                        body,
                        epoch,
                        first_seen,
                        sign_of_life: now,
                        progress: Progress::Runs { owner },
                        was_settled,
                    },
                );
                Taken::Run(owner)
            }
            Verdict::GiveUp => {
                let operation = self.operations.get_mut(&key).expect("it was given up");
                operation.progress = Progress::Unknown;
                operation.sign_of_life = now;
                Taken::GivenUp
            }
            other => panic!("the request wrote a claim, but {other:?} was expected"),
        }
    }

    /// Whether the attempt may still write: no other attempt has taken the operation over, and its record has not
    /// expired.
    pub(super) fn owns(&self, key: u8, attempt: Attempt) -> bool {
        self.operations
            .get(&key)
            .is_some_and(|operation| matches!(operation.progress, Progress::Runs { owner } if owner == attempt))
    }

    pub(super) fn epoch(&self, key: u8) -> u32 {
        self.operations.get(&key).map_or(0, |operation| operation.epoch)
    }

    /// When the operation's record expires.
    pub(super) fn expiry(&self, key: u8) -> u64 {
        self.operations
            .get(&key)
            .map_or(0, |operation| operation.first_seen + TTL)
    }

    /// Whether the attempt may renew its lease again. No lease is renewed after the longest execution time.
    pub(super) fn may_renew(renewals: u64) -> bool {
        renewals * RENEW_EVERY < MAX_EXECUTION
    }

    pub(super) fn renew(&mut self, key: u8, now: u64) {
        let operation = self.operations.get_mut(&key).expect("its owner writes");
        operation.sign_of_life = now;
    }

    /// Records that the attempt's server has released a claim whose write was not confirmed. No handler has run.
    pub(super) fn take_back(&mut self, key: u8, now: u64) {
        let operation = self.operations.get_mut(&key).expect("its owner writes");
        operation.sign_of_life = now;
        operation.progress = Progress::Released;
    }

    pub(super) fn end(&mut self, key: u8, ending: Ending, effect: Effect, answer: u32, now: u64) {
        let operation = self.operations.get_mut(&key).expect("its owner writes");
        operation.sign_of_life = now;
        operation.progress = match (ending, effect) {
            (Ending::Done | Ending::Refused, _) | (Ending::Failed, Effect::AtMostOnce) => Progress::Over { answer },
            (Ending::TooLong, _) => Progress::TooLong,
            (Ending::Later | Ending::Retryable, _) => Progress::Released,
            (Ending::Panics | Ending::TakesTooLong | Ending::IsInDoubt, Effect::AtMostOnce) => Progress::Unknown,
            (Ending::Failed | Ending::Panics | Ending::TakesTooLong | Ending::IsInDoubt, _) => Progress::Released,
        };
    }

    /// Settles the operation as a person would: with this answer, or as not done. Returns whether that is allowed.
    pub(super) fn settle(&mut self, key: u8, effect: Effect, answer: Option<u32>, now: u64) -> bool {
        let Some(operation) = self.operations.get_mut(&key) else {
            return false;
        };
        let is_unknown = match operation.progress {
            Progress::Unknown => now - operation.first_seen < TTL,
            // The record is not marked as unknown yet, but the attempt is lost and must not run again.
            Progress::Runs { .. } => {
                now - operation.sign_of_life >= LEASE
                    && now - operation.first_seen < TTL
                    && effect == Effect::AtMostOnce
            }
            Progress::Released | Progress::Over { .. } | Progress::TooLong => false,
        };
        if is_unknown {
            operation.sign_of_life = now;
            operation.progress = answer.map_or(Progress::Released, |answer| Progress::Over { answer });
            operation.was_settled = true;
        }
        is_unknown
    }

    /// Whether a person can say once more that the operation was not done, which changes nothing.
    pub(super) fn may_settle_again(&self, key: u8, effect: Effect, now: u64) -> bool {
        let is_released = |operation: &Operation| operation.progress == Progress::Released && operation.was_settled;
        let operation = self.operations.get(&key).filter(|operation| is_released(operation));
        operation.is_some_and(|operation| now - operation.first_seen < TTL) && effect == Effect::AtMostOnce
    }

    /// Records a whole transaction. Its answer is kept with its effects or without them, or nothing is kept.
    pub(super) fn transact(&mut self, key: u8, body: u8, ending: Ending, answer: u32, now: u64) -> Verdict {
        let due = self.ask(key, body, Effect::Transactional, now);
        if matches!(due, Verdict::Run { .. }) && matches!(ending, Ending::Done | Ending::Refused) {
            self.take(key, body, Effect::Transactional, now, now);
            self.end(key, ending, Effect::Transactional, answer, now);
        }
        due
    }

    /// Removes expired operations.
    pub(super) fn sweep(&mut self, now: u64) {
        self.operations
            .retain(|_, operation| now - operation.first_seen <= TTL || now - operation.sign_of_life <= TTL);
    }
}
