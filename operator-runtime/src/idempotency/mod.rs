//! Idempotency: an operation takes effect once, and every retry gets the first answer. This page says what is promised,
//! where the promise ends, and what to do then.
//!
//! # The promise
//! The agent gives each operation (one refund, one cancellation) an idempotency key, and repeats the call with the same
//! key until it gets an answer. Whatever happens in between (two calls at once, a lost connection, a crash at any
//! moment, two servers, a new signing key, a clock that jumps), the operation **takes effect once**, and **every retry
//! gets the first answer**, byte for byte, marked `Idempotent-Replayed: true`.
//!
//! The full promise holds if the effects are in the database that also holds the record of the operation. If the
//! effects are in another system (a card is charged, a mail is sent), no program can know after a crash whether they
//! happened. Then the handler does not run a second time. The agent is told that the outcome is unknown, and a person
//! has to find out what happened.
//!
//! A key belongs to one call of one tenant. The same key with another body, or sent to another endpoint, is refused
//! with 422. A transaction that was rolled back (after a 429, a 5xx or a panic) leaves no record. A later call with the
//! same key and another body then runs as a first call. If such a call reaches another server while the transaction is
//! open, the call waits until the transaction ends. Records are kept for one hour after the first call, unless
//! [`Settings::ttl`](crate::Settings::ttl) sets another time. One hour is longer than the agent retries (five minutes),
//! and shorter than the day after which the agent may use a key again.
//!
//! # Callers without a key
//! For a caller that sends no key, `#[operator_api(POST, "/refunds", key(order_id, request_id))]` makes the key from
//! inputs: all calls of a tenant to that endpoint with the same values are one operation. The values are compared, not
//! their spelling: the order of an object's fields does not matter, `1.0` is `1`, a UUID may be in capitals, and an input
//! that is left out has its default. Any other text is compared as it is written. All inputs are decoded before the
//! operation is claimed, so that a call with a wrong input leaves no record.
//! Every other answer is kept as usual: after a 404, the same inputs get the 404 for one hour. If the caller sends a key,
//! the key counts. A call that changes something and has neither is refused with 400. A key from a header and a key from
//! inputs never name the same operation.
//!
//! # What an endpoint declares
//! | the endpoint | its effects | after a crash in the middle |
//! |---|---|---|
//! | takes `&mut Tx<Sqlite>` or `&mut Tx<Postgres>`: transactional | are committed with the record: both, or neither | a retry runs as if nothing had happened |
//! | `effect = rerunnable` | may safely happen twice | a retry runs again |
//! | `effect = at_most_once`, the default | are in another system, and must not happen twice | a retry gets `outcome-unknown` until a person settles the operation |
//! | a GET, or `read_only` | none | there is no record, and a retry runs the handler |
//!
//! An at-most-once handler should pass [`Call::idempotency_key`](crate::Call::idempotency_key) on to the other system.
//! A payment provider that knows the key prevents a second charge, and a person can find the first charge by the key.
//!
//! A 4xx means that the operation has not acted, in none of its attempts. So a rerunnable handler that finds its effect
//! already done answers with a 2xx, as the first attempt would have, and never with a 4xx such as "already refunded".
//!
//! # What happens to a call
//! | what happens | the operation | the caller gets |
//! |---|---|---|
//! | the handler answers, or refuses with a 4xx | is completed; the answer is kept | the answer; retries get the same answer |
//! | the handler says "not now": 408, 425, 429, or an error marked `retryable` | is released, so that a retry runs | that answer |
//! | the handler fails with a 5xx | at most once: is completed, and the answer is kept; otherwise: is released | that answer |
//! | the handler does not know whether another system has acted: [`Error::unknown`](crate::Error::unknown) | at most once: the outcome is unknown; rerunnable: is released; transactional: is undone | 500 `outcome-unknown`; rerunnable: 503 with `Retry-After`; transactional: 500 |
//! | the handler panics, or runs for longer than its `timeout` | at most once: the outcome is unknown; otherwise: is released | 500 or 503, without internal details |
//! | the process is killed | its lease of 15 s expires; then the table above applies | no answer; a retry within the lease gets 409 |
//! | the process is killed during a transaction | is rolled back | no answer; a retry runs at once |
//! | the same call arrives while the operation runs | does not change | the first call's answer, after at most 10 s; else 409 with `Retry-After` |
//! | the caller disconnects | continues, and its answer is kept | the answer, when the caller retries |
//! | the answer is longer than the limit (256 KiB) | is completed, without its answer | the answer once; retries get 500 `response-not-kept` |
//! | the answer is longer than the limit, in a transaction | is undone, and a retry runs | 500 `answer-too-long`: nothing has happened |
//! | its transaction cannot be committed: a full disk, a lost connection | is undone, and a retry runs | 503 `undone` |
//! | the handler's SQL ends the transaction, or continues after SQL that failed | is undone, and a retry runs | 500, or 503 if a full disk looks the same; the log says which |
//! | the outcome cannot be recorded | its lease expires, as if the process had been killed | 503 `outcome-not-recorded`, never a success |
//! | the store cannot be reached, or cannot confirm a write | is not started; a claim that may be in the store is released | 503 with `Retry-After` |
//! | the server is stopping, or full | is not started | 503 with `Retry-After` |
//! | the credential has sent more calls than its rate allows, this one or a retry | is not started, or does not change | 429 with `Retry-After` |
//! | other work is ahead of the call for longer than 10 s, or no connection of Postgres is free for as long | SQLite: stays in the queue, and runs later; Postgres: leaves the queue, and a retry starts it | 503 `not-begun`; the answer, when the caller retries |
//!
//! # What each store survives
//! An answer that the agent has received is kept through:
//!
//! | | the program crashes | the machine crashes or loses power | the disk is lost | another machine takes over |
//! |---|---|---|---|---|
//! | `sqlite:PATH` | yes | yes | no | no: the file is on one machine |
//! | `sqlite:PATH?durability=process` | yes | the last moments may be lost | no | no |
//! | `postgres://…` | yes | yes, unless `fsync` or `synchronous_commit` is off | depends on your replicas and backups | yes |
//! | `redis://…` with `appendonly yes` | yes | with `appendfsync always`; otherwise about the last second is lost | no | yes, with the same Redis |
//! | `redis://…?wait=N`, `redis+sentinel://…?wait=N` | yes | as above, and the answer has reached N replicas | what has reached the replicas | yes; but a replica that lags behind may become the primary |
//! | `redis://…` with Redis's defaults | yes | no | no | yes |
//! | `memory:` | no | no | no | no |
//!
//! If a record is lost, the operation is no longer known, so a retry within the agent's five minutes runs the operation
//! again. That is why SQLite and Postgres are the stores for money: they lose effects and records together, or neither.
//! Redis is for effects in other systems. At start-up, the log warns if Redis or Postgres reports settings with which
//! it can lose answers that were sent, and if Redis may evict records when it is full.
//!
//! A failover of Redis loses what only the old primary had. With `wait=N` an answer is sent once N replicas have its
//! record, so the record is lost only if a replica without it is promoted; if there are N replicas, each has it. In a
//! test of ten failovers by Sentinel, with two replicas, `wait=1` and the primary killed or frozen under load, no record
//! was lost.
//!
//! No store keeps the promise if it is restored from a backup while the agent still retries: wait five minutes after
//! the last call before you restore. While a store is unavailable or its disk is full, calls are refused and nothing is
//! started. When the store works again, calls run again without any action.
//!
//! Leases and the age of records are measured by the clock of the database or of Redis, so a machine with a wrong clock
//! does no harm. SQLite uses the machine's time since it was started: all processes on the machine read the same value,
//! and setting the clock does not change it.
//!
//! # When a handler does not know
//! Crashes are rare. More often, the payment provider takes a request, and then the connection breaks. The handler then
//! returns [`Error::unknown`](crate::Error::unknown), or a variant with `#[operator(unknown)]`, and the operation is in
//! the same state as after a crash:
//!
//! | what the other system did | what the handler returns |
//! |---|---|
//! | it could not be reached, so nothing has happened | [`Error::retryable`](crate::Error::retryable): a retry runs the handler |
//! | it refused | a 4xx, or a 5xx if the caller can do nothing about it: the outcome is known |
//! | it may have acted, and did not confirm it | [`Error::unknown`](crate::Error::unknown): a person finds out |
//! | it may have acted, and recognizes a retry by its idempotency key | the same error, from a `rerunnable` handler that passes [`Call::idempotency_key`](crate::Call::idempotency_key) on with each request: the retry finds out, and no person has to |
//!
//! # Limits
//! Idempotency keeps one operation from taking effect twice. It does not keep an agent from starting fifty operations.
//! `#[operator(limit(sum = amount_cents, max = 10_000, per = order_id, within = "24h"))]` does: see
//! [`operator_api`](macro@crate::operator_api).
//!
//! A limit counts operations, however often each is retried. What a call needs is reserved before its handler starts,
//! and counts from then on until its window ends:
//!
//! | what happens | what is reserved |
//! |---|---|
//! | the handler answers | counts |
//! | the handler refuses with a 4xx, or says "not now" | is given back |
//! | the handler fails in another way, or the process is killed; transactional | is rolled back |
//! | the same, rerunnable | counts; a retry takes it over, and its outcome decides, except "not now", which changes nothing |
//! | the same, at most once | counts; if the outcome is unknown, until a person settles it as not done |
//! | a retry gets the answer that was kept | does not change; after a refusal, it is given back if the process was killed before it could do so |
//!
//! After a 4xx of a rerunnable handler, what any attempt of the operation has reserved is given back. A handler that
//! answers with a 4xx because an earlier attempt has acted would therefore free an amount that is spent.
//!
//! A call that would exceed a limit is answered with 403 `over-limit`, which says what the limit is, how much is used, and
//! when there is room. The answer is kept: retries get it again, and a later call needs a new idempotency key. A retry
//! can be over a limit too, if what the operation had reserved was given back or has ended. If an earlier attempt may have
//! acted, the answer says so, and that a person should be asked, because a call with a new key could act a second time.
//! The log has a line about it, and `operations limits refund_order order_id=1004` shows how much is used.
//!
//! Each tenant has limits of its own. Reservations are in the store: SQLite and Postgres commit them with the record of
//! a transactional endpoint; on all stores, several servers share them. They end by the store's own clock, even if the
//! record of their operation has expired earlier. Calls on one limited value wait for each other while a transactional
//! handler runs. A reservation ends with its window even while its handler runs, so a window that is shorter than the
//! endpoint's `timeout` does not bound what takes effect at the same time. If a release changes the maximum, the new one applies to what is already reserved. A limit with
//! another window, other inputs or another endpoint's name is a new limit, which begins at zero.
//!
//! # How to settle an unknown outcome
//! The problem that the agent gets names the operation, so the agent can tell a person which operation it is. Run these
//! commands on the server's machine, or on any other machine with the same program and the same `OPERATOR_STORE`. The
//! servers may keep running.
//!
//! ```console
//! $ support-desk operations list --unknown
//! $ support-desk operations list --outcome failed,lost
//! $ support-desk operations show 9f86d081884c
//! $ support-desk operations settle 9f86d081884c --done answer.json
//! $ support-desk operations settle 9f86d081884c --not-done
//! ```
//!
//! `list --unknown` shows each operation that only a person can settle, including lost operations that no caller has
//! retried. `list --outcome` shows the operations that ended with an outcome of
//! [the table below](#the-metrics-to-watch): `done`, `declined`, `invalid`, `over_limit`, `failed`, `response_not_kept` or
//! `outcome_unknown`; or those that have not ended: `running`, `released` (the next retry runs), or `lost`.
//!
//! `show` prints which endpoint was called, by which tenant, with which idempotency key, and when. Look for that key in
//! the system in which the endpoint acts. Then record what you found:
//! - `--done`: the effect has happened. Retries get the answer in the file, which must be an answer of this endpoint.
//! - `--not-done`: the effect has not happened. A retry runs the handler.
//!
//! People without a shell on the server do the same on the admin page ([`Config::admin`](crate::Config::admin)).
//!
//! The record keeps when the operation was settled and by whom (`--by`, or else the name of the logged-in user), and
//! `show` prints both. An operation that still runs, or whose outcome is known, cannot be settled. An operation that was
//! not done can be settled as not done again: that frees its part of the limits, if the store failed or the process was
//! killed before it could do so. An attempt that was
//! considered lost and continues after the operation was settled cannot overwrite the settled outcome. An operation
//! that nobody settles is forgotten with its record, after one hour.
//!
//! # The metrics to watch
//! The metrics go to the recorder of the crate `metrics` that is installed before the app is created. With the feature
//! `prometheus`, `OPERATOR_METRICS=127.0.0.1:9464` (or [`Config::metrics`](crate::Config::metrics)) serves them to
//! Prometheus at `/metrics` on that port. The port answers everybody who can reach it: use a private address.
//!
//! | metric | kind | what it counts or measures |
//! |---|---|---|
//! | `operator_calls_total{endpoint, outcome}` | counter | calls, by outcome |
//! | `operator_waits_total{endpoint}` | counter | calls that waited because the same operation was running; calls of transactional endpoints are not counted |
//! | `operator_takeovers_total{endpoint}` | counter | attempts that ran because an earlier attempt was lost: after crashes, or after a handler was frozen |
//! | `operator_unknown_outcomes_total{endpoint}` | counter | operations whose outcome has become unknown: **a person has to act** |
//! | `operator_transaction_seconds{endpoint}` | histogram | seconds for which handlers kept their transaction open; on SQLite, every other write waits for that long |
//! | `operator_slow_transactions_total{endpoint}` | counter | transactions that handlers kept open for longer than 0.1 s: on SQLite, such a handler blocks every writer, so it must not await anything slow |
//! | `operator_slow_setups_total{endpoint}` | counter | handlers of `conversation.setup` that took longer than 0.5 s while a person waited |
//! | `operator_store_seconds{operation}` | histogram | seconds that the store took for a `swap` (a claim, a lease renewal or an outcome), a whole `transaction` with its wait, handler and commit, a `sweep` of expired records, or a `count` |
//! | `operator_records{state}` | gauge | records in the store: all records (`held`), and those that are `unknown`, `lost`, or `settled` by a person. Each server that shares the store counts them once a minute, so take the maximum of the servers, not the sum |
//! | `operator_log_lines_lost_total` | counter | lines of `App::run`'s log that were lost because the log's reader was gone or too slow, or its disk was full; calls continue |
//!
//! An operation is `lost` after its server was killed, until a retry asks for it: then the operation runs again, or
//! becomes `unknown`. If the endpoint is at most once, a person has to act on `lost` and on `unknown` operations.
//!
//! A program with its own recorder gets `operator_records` from
//! [`Config::count_records`](crate::Config::count_records).
//!
//! The outcomes of calls are below; the log uses the same words, as `outcome`. A call that waits too long for its
//! transaction counts as `still_running` or `turned_away`. If the call runs later, it is counted a second time, with
//! its final outcome.
//!
//! | outcome | the caller got |
//! |---|---|
//! | `done` | the handler's answer |
//! | `declined` | a 4xx from the handler |
//! | `invalid` | 400: an input is invalid, or the body is not readable |
//! | `over_limit` | 403: the operation would exceed a limit of its endpoint |
//! | `failed` | a 5xx from the handler, or because the handler panicked |
//! | `replayed` | the answer of an earlier call |
//! | `still_running` | 409: the same operation was still running |
//! | `key_reused` | 422: the key belongs to another request |
//! | `outcome_unknown` | 500: the operation may have taken effect; a person has to settle it |
//! | `outcome_not_recorded` | 503: the operation may have taken effect, and the store could not record the outcome |
//! | `response_not_kept` | 500: the answer was too long to keep; the operation is completed, or undone if it is transactional |
//! | `timed_out` | 503: the handler took too long, and nothing was kept |
//! | `store_unavailable` | 503: the store was unavailable or full and nothing was started, or the store could not commit the transaction and nothing was kept |
//! | `turned_away` | 503: the server was full or stopping and nothing was started, or other work was ahead of the call (`not-begun`); 429: the credential has sent more calls than [`Config::rate`](crate::Config::rate) allows |
//! | `not_verified` | 400, 401, 403 or 415: the call was unsigned, stale or malformed, its body was not plain JSON, or its caller may not call or lacks a scope; 503: its access token could not be checked, because the issuer's keys could not be fetched; calls refused earlier by a limit of size or time are not counted |

pub(crate) mod admission;
pub(crate) mod auditing;
mod claiming;
pub(crate) mod doubtful;
pub(crate) mod effect;
pub(crate) mod lease;
pub(crate) mod limiting;
pub(crate) mod machine;
pub(crate) mod operations;
pub(crate) mod outcome;
pub(crate) mod progress;
mod settings;
#[cfg(any(feature = "cli", test))]
pub(crate) mod settling;
pub(crate) mod transacted;

#[cfg(test)]
mod tests;
