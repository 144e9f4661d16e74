//! Random histories of operations with two limits, compared with a second, naive implementation of the rules: reserving,
//! giving back, ending with the window, crashes, retries, and settling by a person.

mod late;
mod reservations;
mod steps;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::ready;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::ProptestConfig;
use proptest::test_runner::{RngAlgorithm, TestRunner};
use tokio::runtime::Builder;

use self::late::Late;
use self::reservations::Reservations;
use self::steps::{Ends, Step, steps};
use super::reference::Ending;
use super::simulation::call::{first, outcome};
use super::{Reached, YEARS};
use crate::clock::{Clock as _, ManualClock};
use crate::idempotency::admission::{Asked, Claim};
use crate::idempotency::effect::Effect;
use crate::idempotency::lease::Lease;
use crate::idempotency::limiting::Needed;
use crate::idempotency::machine::{Finding, Settings};
use crate::idempotency::operations::Operations;
use crate::idempotency::outcome::{HandlerOutcome, Recorded};
use crate::idempotency::settling::NotSettled;
use crate::limit::{Counted, Limit, LimitedValue};
use crate::meter::CallMeter;
use crate::record::operation::OperationId;
use crate::record::{Record, Settlement};
use crate::store::{MemoryStore, Store};
use crate::support::proof::Row;

const SECOND: Duration = Duration::from_secs(1);
const MAX_EXECUTION: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_secs(3);
const TTL: Duration = Duration::from_secs(60);
/// What an operation asks for, by its key. One is more than the maximum.
const AMOUNTS: [u64; 6] = [1, 2, 3, 10, 11, 2];
/// Its window is longer than that of `CALLS`, so a retry may take this part over and be over the other limit.
const SUM: Limit = Limit {
    counted: Counted::Sum("amount"),
    max: 10,
    per: &[],
    window: Duration::from_secs(30),
};
const CALLS: Limit = Limit {
    counted: Counted::Calls,
    max: 2,
    per: &[],
    window: Duration::from_secs(10),
};

struct History<'s> {
    operations: Operations,
    clock: &'s ManualClock,
    /// So that each history has records and limited values of its own.
    tenant: String,
    is_transactional: bool,
    calls: u64,
    reserved: [Reservations; 2],
    /// The operations that have acted or may have acted: the amount, and when each of the attempts did. Kept without the
    /// rules of limits, so that a mistake made in both implementations is found.
    effects: BTreeMap<NonZeroU64, (u64, BTreeMap<u32, Duration>)>,
    /// By key, the last operation, and whether its last attempt was refused by its handler and killed before it gave back.
    last: BTreeMap<usize, (NonZeroU64, bool)>,
    /// The attempts that still run, the oldest first.
    late: VecDeque<Late>,
    /// The attempts that have not reserved yet, the oldest first.
    waiting: VecDeque<(usize, Lease)>,
    /// By key, how many attempts have begun.
    begun: BTreeMap<usize, u32>,
    reached: Reached,
}

impl History<'_> {
    fn values(&self) -> [LimitedValue; 2] {
        [SUM, CALLS].map(|limit| limit.value(&self.tenant, "refund_order", ""))
    }

    fn needs(&self, key: usize) -> [Needed; 2] {
        let [sum, calls] = self.values();
        let needed = |limit, value, amount| Needed { limit, value, amount };
        [needed(&SUM, sum, AMOUNTS[key]), needed(&CALLS, calls, 1)]
    }

    fn effect(&self, key: usize) -> Effect {
        match key % 3 {
            0 => Effect::AtMostOnce,
            1 if self.is_transactional => Effect::Transactional,
            _ => Effect::Rerunnable,
        }
    }

    fn id(&self, key: usize) -> OperationId {
        OperationId::new(&self.tenant, &key.to_string())
    }

    fn now(&self) -> Duration {
        self.clock.since_unix_epoch()
    }

    fn reach(&mut self, what: &'static str) {
        *self.reached.entry(what).or_default() += 1;
    }

    async fn used(&self, value: LimitedValue) -> u64 {
        self.operations.store().limits().unwrap().used(value).await.unwrap()
    }

    async fn act(&mut self, step: Step) {
        match step {
            Step::Call { key, ends } => self.call(key, ends).await,
            Step::End { ending } => self.end_late(ending).await,
            Step::GoOn { ends } => self.go_on(ends).await,
            Step::Settle { key, is_done } => self.settle(key, is_done).await,
            Step::Wait { seconds } => self.clock.advance(SECOND * seconds),
            Step::Sweep => drop(self.operations.sweep().await.unwrap()),
        }
        let now = self.now();
        for (value, reserved) in self.values().into_iter().zip(&self.reserved) {
            assert_eq!(self.used(value).await, reserved.used(now), "after {step:?}");
        }
        let recent = |window| {
            let is_recent = move |at: &Duration| *at + window > now;
            let effects = self.effects.values();
            effects.filter(move |(_, attempts)| attempts.values().any(is_recent))
        };
        let sum: u64 = recent(SUM.window).map(|(amount, _)| amount).sum();
        assert!(sum <= SUM.max, "{sum} may have taken effect");
        let calls = recent(CALLS.window).count() as u64;
        assert!(calls <= CALLS.max, "{calls} calls may have taken effect");
    }

    async fn call(&mut self, key: usize, ends: Ends) {
        self.calls += 1;
        let serial = NonZeroU64::new(self.calls).unwrap();
        let first = Arc::new(Record {
            serial: Some(serial),
            ..Record::clone(&first(u8::try_from(key).unwrap(), 0))
        });
        #[cfg(feature = "sqlite")]
        if self.effect(key) == Effect::Transactional {
            return self.transact(key, first, ends).await;
        }
        let asked = Asked {
            id: self.id(key),
            first: &first,
            effect: self.effect(key),
            max_execution: MAX_EXECUTION,
            longest_wait: Duration::ZERO,
            meter: &CallMeter::of("refund_order"),
            draft: &None,
        };
        match self.operations.clone().admit(&asked).await.unwrap() {
            Claim::Run(lease) if matches!(ends, Ends::BeforeReserving) => self.waiting.push_back((key, lease)),
            Claim::Run(lease) => self.run(key, lease, ends).await,
            Claim::Told(told) => self.told(key, told).await,
        }
    }

    async fn run(&mut self, key: usize, mut lease: Lease, ends: Ends) {
        let operation = lease.record.serial.unwrap();
        let taken_over = self.reserved.each_ref().map(|one| one.is_held(operation, self.now()));
        // What an earlier attempt has reserved is kept, unless no earlier attempt can have acted.
        let kept = match self.effect(key) {
            Effect::AtMostOnce => [false; 2],
            _ => taken_over,
        };
        let is_over = self.reserve(key, operation, taken_over);
        let over = lease.reserve(ready(Ok(self.needs(key).to_vec()))).await.unwrap();
        assert_eq!(over.is_some(), is_over);
        self.last.insert(key, (operation, false));
        let begun = self.begun.entry(key).or_default();
        *begun += 1;
        let attempt = *begun;
        if let Some(over) = over {
            self.reach(match taken_over {
                [true, _] => "over a limit after another was taken over",
                _ => "over a limit",
            });
            lease.complete(over).await.unwrap();
            return self.give_back(operation, kept);
        }
        lease.handler_began = true;
        let ending = match ends {
            Ends::With(ending) => ending,
            Ends::BeforeReserving => unreachable!("it has waited"),
            Ends::Late => {
                self.late.push_back(Late {
                    key,
                    lease,
                    kept,
                    attempt,
                });
                return self.has_acted(key, operation, attempt);
            }
            Ends::Killed => {
                self.reach("killed");
                return self.has_acted(key, operation, attempt);
            }
            Ends::KilledAfterLater => {
                self.reach("killed after \"not now\"");
                // The operation is released, and nothing is given back.
                lease.reserved = None;
                lease.complete(outcome(Ending::Later, 1)).await.unwrap();
                return;
            }
            Ends::KilledAfterRefusal => {
                if lease.epoch() > 1 {
                    self.reach("killed after a later attempt was refused");
                }
                // The record is written, and nothing is given back.
                let values = lease.reserved.as_mut().unwrap();
                values.anew.clear();
                values.taken_over.clear();
                lease.complete(outcome(Ending::Refused, 1)).await.unwrap();
                self.effects.remove(&operation);
                self.last.insert(key, (operation, true));
                return;
            }
        };
        lease.complete(outcome(ending, 1)).await.unwrap();
        self.ended(operation, attempt, ending, kept);
        if !matches!(ending, Ending::Refused | Ending::Later | Ending::Retryable) {
            self.has_acted(key, operation, attempt);
        }
    }

    /// Gives back what is not kept after an attempt has recorded this ending.
    fn ended(&mut self, operation: NonZeroU64, attempt: u32, ending: Ending, kept: [bool; 2]) {
        match ending {
            Ending::Refused => {
                self.reach("refused");
                self.effects.remove(&operation);
                self.give_back(operation, [false; 2]);
            }
            Ending::Later | Ending::Retryable => {
                self.reach("not now");
                // An earlier attempt may have acted.
                if let Some((_, attempts)) = self.effects.get_mut(&operation) {
                    attempts.remove(&attempt);
                }
                self.give_back(operation, kept);
            }
            _ => {}
        }
    }

    /// Reserves by the rules. Returns whether the operation is over a limit.
    fn reserve(&mut self, key: usize, operation: NonZeroU64, taken_over: [bool; 2]) -> bool {
        let now = self.now();
        let needs = self.needs(key);
        for (number, Needed { limit, amount, .. }) in needs.into_iter().enumerate() {
            let reserved = &mut self.reserved[number];
            if amount > limit.max || !taken_over[number] && reserved.used(now) + amount > limit.max {
                return true;
            }
            if taken_over[number] {
                *self.reached.entry("taken over").or_default() += 1;
            }
            reserved.0.insert(operation, (amount, now + limit.window));
        }
        false
    }

    /// Gives back what is not kept.
    fn give_back(&mut self, operation: NonZeroU64, kept: [bool; 2]) {
        for (reserved, is_kept) in self.reserved.iter_mut().zip(kept) {
            if !is_kept {
                reserved.0.remove(&operation);
            }
        }
    }

    fn has_acted(&mut self, key: usize, operation: NonZeroU64, attempt: u32) {
        let now = self.now();
        let (_, attempts) = self.effects.entry(operation).or_insert((AMOUNTS[key], BTreeMap::new()));
        attempts.insert(attempt, now);
    }

    async fn told(&mut self, key: usize, told: Recorded) {
        self.reach("told");
        let Recorded::Replayed(_) = told else { return };
        let needs = Ok(self.needs(key).to_vec());
        self.operations.give_back_again(self.id(key), &needs).await;
        if let Some((operation, true)) = self.last.get(&key) {
            let operation = *operation;
            self.reach("given back by a retry");
            self.give_back(operation, [false; 2]);
        }
    }

    #[cfg(feature = "sqlite")]
    async fn transact(&mut self, key: usize, first: Arc<Record>, ends: Ends) {
        use crate::idempotency::outcome::Answer;
        use crate::idempotency::transacted::{Transacted, TransactionAsked, TransactionalHandler};

        let operation = first.serial.unwrap();
        let ends = match ends {
            Ends::With(ending) => outcome(ending, 1),
            // A killed process commits nothing, so a panic stands for it.
            Ends::BeforeReserving | Ends::Late | Ends::Killed | Ends::KilledAfterLater | Ends::KilledAfterRefusal => {
                HandlerOutcome::Panicked
            }
        };
        let asked = TransactionAsked {
            id: self.id(key),
            first,
            max_execution: MAX_EXECUTION,
            draft: None,
        };
        let handler = || -> TransactionalHandler {
            let ends = ends.clone();
            Box::new(move |_, _| Box::pin(ready(ends)))
        };
        let needs = Ok(self.needs(key).to_vec());
        let operations = self.operations.clone();
        let ran = operations.transact(asked, &Arc::default(), needs, handler).await;
        match ran.unwrap() {
            Transacted::Told(told) => self.told(key, told).await,
            Transacted::Ran(answer) => {
                let is_over = self.reserve(key, operation, [false; 2]);
                let has_status =
                    |status: u16| matches!(&answer, Answer::Response { response, .. } if response.status == status);
                assert_eq!(has_status(403), is_over, "{answer:?}");
                if has_status(200) {
                    self.reach("transaction");
                    self.has_acted(key, operation, 1);
                } else {
                    self.give_back(operation, [false; 2]);
                }
                self.last.insert(key, (operation, false));
            }
            Transacted::CommitUnknown => panic!("the store works"),
        }
    }

    async fn settle(&mut self, key: usize, is_done: bool) {
        let id = self.id(key);
        let page = self.operations.store().list(id..=id, None, 1).await.unwrap();
        let Some(listed) = page.records.into_iter().next() else {
            return;
        };
        let operation = listed.record.as_ref().unwrap().serial.unwrap();
        let HandlerOutcome::Finished { response, .. } = outcome(Ending::Done, 1) else {
            unreachable!("it is done");
        };
        let finding = if is_done {
            Finding::Done(response)
        } else {
            Finding::NotDone
        };
        let settlement = Arc::new(Settlement {
            by: "a person".to_owned(),
            at: UNIX_EPOCH,
        });
        let settling = self
            .operations
            .settle(listed, self.effect(key), &finding, &settlement, None);
        match settling.await {
            Ok(_) if is_done => self.reach("settled: done"),
            Ok(_) => {
                self.reach("settled: not done");
                self.effects.remove(&operation);
                self.give_back(operation, [false; 2]);
            }
            Err(NotSettled::Nothing(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// After the window, nothing is reserved, and an operation for the whole limit is let through.
    async fn end(&mut self) {
        self.clock.advance(TTL + SUM.window);
        for value in self.values() {
            assert_eq!(self.used(value).await, 0, "something stays reserved");
        }
        self.act(Step::Call {
            key: AMOUNTS.iter().position(|amount| *amount == SUM.max).unwrap(),
            ends: Ends::With(Ending::Done),
        })
        .await;
        assert_eq!(self.used(self.values()[0]).await, SUM.max);
    }
}

/// Runs `count` histories, and fails with the shortest history that breaks a rule.
fn hold(name: &str, store: &Arc<dyn Store>, clock: &ManualClock, count: u32) {
    let mut builder = Builder::new_current_thread();
    // Paused only for a store without threads: a paused clock would jump ahead while a thread works.
    let is_paused = store.transactions().is_none();
    let runtime = builder.enable_time().start_paused(is_paused).build().unwrap();
    let number = Cell::new(0_u64);
    let reached = RefCell::new(Reached::new());
    let settings = Settings {
        ttl: TTL,
        lease: LEASE,
        renew_every: SECOND,
        wait: Duration::ZERO,
        response_limit: 1_000,
    };
    let mut runner = TestRunner::new(ProptestConfig {
        cases: count,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        rng_algorithm: RngAlgorithm::XorShift,
        ..ProptestConfig::default()
    });
    let result = runner.run(&steps(), |steps| {
        number.set(number.get() + 1);
        let mut history = History {
            operations: Operations::new(Arc::clone(store), settings),
            clock,
            tenant: format!("tenant {}", number.get()),
            is_transactional: store.transactions().is_some(),
            // So that no two operations of all histories have the same number.
            calls: number.get() << 20,
            reserved: Default::default(),
            effects: BTreeMap::new(),
            last: BTreeMap::new(),
            late: VecDeque::new(),
            waiting: VecDeque::new(),
            begun: BTreeMap::new(),
            reached: Reached::new(),
        };
        runtime.block_on(async {
            for step in steps {
                history.act(step).await;
            }
            history.end().await;
        });
        let mut reached = reached.borrow_mut();
        for (what, often) in history.reached {
            *reached.entry(what).or_default() += often;
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let reached = reached.into_inner();
    println!("{reached:?}");
    let mut missing = vec![
        "over a limit",
        "killed",
        "refused",
        "not now",
        "taken over",
        "told",
        "ended late",
        "given back by a retry",
        "reserved late",
        "lost its lease before it reserved",
        "killed after a later attempt was refused",
        "settled: done",
        "settled: not done",
    ];
    missing.extend(match store.transactions() {
        Some(_) => &["transaction"][..],
        // Too rare for the fewer histories on SQLite.
        None => &["over a limit after another was taken over", "lost its lease"],
    });
    missing.retain(|what| !reached.contains_key(what));
    assert_eq!(missing, [""; 0], "no history reached these events");
    // The counts are zero, because a history that exceeds a limit or keeps something reserved fails the test above.
    let row = Row {
        proof: "random histories with limits",
        store: name,
        tried: &format!("{count} histories, two limits each"),
        lost: 0,
        doubled: 0,
    };
    row.record();
}

#[test]
fn a_thousand_histories_in_memory() {
    let clock = Arc::new(ManualClock::at(YEARS));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::with(usize::MAX, clock.clone()));
    hold("memory", &store, &clock, 1_000);
}

#[cfg(feature = "sqlite")]
#[test]
fn three_hundred_histories_on_sqlite() {
    use crate::store::{Durability, SqliteStore};

    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(YEARS));
    let path = folder.path().join("operator.db");
    let store = SqliteStore::open_with(path, Durability::ProcessCrash, clock.clone()).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    hold("SQLite", &store, &clock, 300);
}
