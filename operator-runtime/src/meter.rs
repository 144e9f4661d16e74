//! The metrics and their names. They go to the `metrics` recorder that is installed, whichever it is.
//!
//! Handles are created once, at start-up, so that counting a call needs no allocation and no lookup.

use std::fmt;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit};

use crate::clock::timer_now;
use crate::problem::Outcome;
use crate::store::Counts;

const CALLS: &str = "operator_calls_total";
const WAITS: &str = "operator_waits_total";
const TAKEOVERS: &str = "operator_takeovers_total";
const UNKNOWN: &str = "operator_unknown_outcomes_total";
const TRANSACTION: &str = "operator_transaction_seconds";
const SLOW_TRANSACTIONS: &str = "operator_slow_transactions_total";
const SLOW_SETUPS: &str = "operator_slow_setups_total";
const STORE: &str = "operator_store_seconds";
const RECORDS: &str = "operator_records";
const LOG_LINES_LOST: &str = "operator_log_lines_lost_total";

/// A transaction that is open for longer counts as slow. On SQLite, every other write waits for the open transaction.
const SLOW: Duration = Duration::from_millis(100);

/// Registers the help text of each metric with the installed recorder.
pub(crate) fn describe() {
    metrics::describe_counter!(
        LOG_LINES_LOST,
        Unit::Count,
        "Log lines that were lost because they could not be written."
    );
    // This registers the metric at zero, so that it exists before the first line is lost.
    metrics::counter!(LOG_LINES_LOST).increment(0);
    metrics::describe_counter!(CALLS, Unit::Count, "Calls, by endpoint and outcome.");
    metrics::describe_counter!(
        WAITS,
        Unit::Count,
        "Calls that waited for another attempt at the same operation."
    );
    metrics::describe_counter!(
        TAKEOVERS,
        Unit::Count,
        "Attempts that took over an operation from a lost attempt."
    );
    metrics::describe_counter!(
        UNKNOWN,
        Unit::Count,
        "Operations whose outcome became unknown and that a person has to settle."
    );
    metrics::describe_histogram!(
        TRANSACTION,
        Unit::Seconds,
        "How long handlers kept their transaction open. On SQLite, every other write waits during that time."
    );
    metrics::describe_counter!(
        SLOW_TRANSACTIONS,
        Unit::Count,
        "Handlers that kept their transaction open for more than 0.1 s."
    );
    metrics::describe_counter!(
        SLOW_SETUPS,
        Unit::Count,
        "Handlers of `conversation.setup` that took more than 0.5 s while a person waited."
    );
    metrics::describe_histogram!(STORE, Unit::Seconds, "How long the store took, by store operation.");
    metrics::describe_gauge!(
        RECORDS,
        Unit::Count,
        "Records in the store, by state: `held` counts all records, `unknown` those with an unknown outcome, `lost` those whose attempt was lost and that no call has retried, `settled` those that a person has settled."
    );
}

/// Counts a log line that did not fit into the queue or could not be written.
#[cfg(feature = "cli")]
pub(crate) fn log_line_lost() {
    metrics::counter!(LOG_LINES_LOST).increment(1);
}

/// Counts the slow runs of a handler that a person waits for.
pub(crate) fn slow_setups(event_type: &'static str) -> Counter {
    metrics::counter!(SLOW_SETUPS, "endpoint" => event_type)
}

/// The metrics of one endpoint.
pub(crate) struct CallMeter {
    /// The number of calls for each outcome, in the order of [`Outcome::ALL`].
    calls: [Counter; Outcome::ALL.len()],
    pub(crate) waits: Counter,
    pub(crate) takeovers: Counter,
    pub(crate) unknown: Counter,
    transaction: Histogram,
    slow_transactions: Counter,
}

impl CallMeter {
    pub(crate) fn of(endpoint: &'static str) -> Self {
        Self {
            calls: Outcome::ALL
                .map(|outcome| metrics::counter!(CALLS, "endpoint" => endpoint, "outcome" => outcome.word())),
            waits: metrics::counter!(WAITS, "endpoint" => endpoint),
            takeovers: metrics::counter!(TAKEOVERS, "endpoint" => endpoint),
            unknown: metrics::counter!(UNKNOWN, "endpoint" => endpoint),
            transaction: metrics::histogram!(TRANSACTION, "endpoint" => endpoint),
            slow_transactions: metrics::counter!(SLOW_TRANSACTIONS, "endpoint" => endpoint),
        }
    }

    pub(crate) fn call(&self, outcome: Outcome) {
        self.calls[outcome as usize].increment(1);
    }

    /// Times a handler that runs in a transaction.
    pub(crate) async fn in_transaction<T>(&self, handler: impl Future<Output = T>) -> T {
        let started = timer_now();
        let ended = handler.await;
        let took = started.elapsed();
        self.transaction.record(took);
        if took > SLOW {
            self.slow_transactions.increment(1);
        }
        ended
    }
}

/// The metrics of a store.
pub(crate) struct StoreMeter {
    pub(crate) swap: Histogram,
    pub(crate) transaction: Histogram,
    pub(crate) sweep: Histogram,
    pub(crate) count: Histogram,
    held: Gauge,
    unknown: Gauge,
    lost: Gauge,
    settled: Gauge,
}

impl StoreMeter {
    pub(crate) fn new() -> Self {
        let seconds = |asked: &'static str| metrics::histogram!(STORE, "operation" => asked);
        let records = |which: &'static str| metrics::gauge!(RECORDS, "state" => which);
        Self {
            swap: seconds("swap"),
            transaction: seconds("transaction"),
            sweep: seconds("sweep"),
            count: seconds("count"),
            held: records("held"),
            unknown: records("unknown"),
            lost: records("lost"),
            settled: records("settled"),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is an `f64`, which is exact up to 2⁵³ records"
    )]
    pub(crate) fn records(&self, counts: Counts) {
        self.held.set(counts.held as f64);
        self.unknown.set(counts.unknown as f64);
        self.lost.set(counts.lost as f64);
        self.settled.set(counts.settled as f64);
    }
}

/// Times one store operation.
pub(crate) async fn timed<T>(histogram: &Histogram, asking: impl Future<Output = T>) -> T {
    let started = timer_now();
    let answer = asking.await;
    histogram.record(started.elapsed());
    answer
}

impl fmt::Debug for StoreMeter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StoreMeter").finish_non_exhaustive()
    }
}
