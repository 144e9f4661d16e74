//! An operation takes effect once, and every retry gets the first answer: what is promised, what is not, and what to do
//! then.
//!
//! # The promise
//! The agent gives each operation (this refund, that cancellation) an idempotency key, and sends the call again under the
//! same key until it has an answer. Whatever happens in between (two calls at once, a lost connection, a crash at any
//! moment, two servers, a new signing key, a clock that jumps), the operation **takes effect once**, and **every retry
//! gets the first answer**, byte for byte, marked `Idempotent-Replayed: true`.
//!
//! That can be had where effects are in the database that also holds the record of the operation. Where they are
//! elsewhere (a card is charged, a mail is sent), no program can know after a crash whether they have happened. Then the
//! call is not run a second time: the agent is told that the outcome is unknown, and a person finds out.
//!
//! A key stands for one call of one tenant. Sent with another body or to another endpoint, it is refused with 422. A
//! transaction that was undone (a 429, a 5xx, a panic) leaves nothing behind, the key's request neither: another body
//! then runs as if it were the first, and one that comes to another server while the transaction is open waits for it.
//! Records are kept for an hour from the first call on, unless [`Settings::ttl`](crate::Settings::ttl) says otherwise: longer
//! than the agent retries, which is five minutes, and shorter than the day after which it may use a key again.
//!
//! # What an endpoint declares
//! | the endpoint | its effects | after a crash in the middle |
//! |---|---|---|
//! | takes `&mut Tx<Sqlite>` or `&mut Tx<Postgres>`: transactional | are committed with the record: both, or neither | a retry runs as if nothing had happened |
//! | `effect = rerunnable` | may safely happen twice | a retry runs again |
//! | `effect = at_most_once`, which is the default | are elsewhere, and must not happen twice | a retry is told `outcome-unknown`, until a person settles it |
//! | a GET, or `read_only` | none | there is no record, and a retry runs |
//!
//! An at-most-once handler does better by passing [`Call::idempotency_key`](crate::Call::idempotency_key) on: a payment
//! provider that knows the key makes a second charge impossible, and whoever looks there finds the first one by it.
//!
//! # What becomes of a call
//! | what happens | the operation | the caller gets |
//! |---|---|---|
//! | the handler answers, or refuses with a 4xx | is over; the answer is kept | the answer; retries get it again |
//! | it says "not now": 408, 425, 429, or an error marked `retryable` | is released, so that a retry runs | that answer |
//! | it fails with a 5xx | at most once: is over, the answer is kept; else released | that answer |
//! | it panics, or runs for longer than its `timeout` | at most once: the outcome is unknown; else released | 500 or 503, and no inner text |
//! | the process is killed | its lease of 15 s runs out; then as the table above says | no answer; a retry within the lease gets 409 |
//! | the same in a transaction | is undone with the process | no answer; a retry runs at once |
//! | the same call comes while it runs | nothing changes | after 10 s at most the first call's answer, or 409 with `Retry-After` |
//! | the caller hangs up | goes on, and its answer is kept | the answer, when it retries |
//! | the answer is longer than is kept (256 KiB) | is over, without its answer | the answer once; retries get 500 `response-not-kept` |
//! | the same in a transaction | is undone, and a retry runs | 500 `answer-too-long`: nothing has happened |
//! | its transaction cannot be kept: a full disk, a lost connection | is undone, and a retry runs | 503 `undone` |
//! | the handler's SQL ends its transaction, or goes on after SQL that failed | is undone, and a retry runs | 500, or 503 where a full disk looks the same; the log says which |
//! | the end cannot be recorded | its lease runs out, as if the process had been killed | 503 `outcome-not-recorded`, never a success |
//! | the store cannot be reached, or cannot confirm what it was asked to write | nothing is started; what it may have written is taken back | 503 with `Retry-After` |
//! | the server is stopping, or full | nothing is started | 503 with `Retry-After` |
//! | other work is before it for longer than 10 s; on Postgres, 5 s without a free connection | SQLite: stays in the queue, and runs in its turn; Postgres: has left it, and a retry begins it | 503 `not-begun`; the answer, when it retries |
//!
//! # What each store survives
//! An answer that the agent has got is kept through:
//!
//! | | the program crashes | the machine crashes or loses power | the disk is lost | another machine takes over |
//! |---|---|---|---|---|
//! | `sqlite:PATH` | yes | yes | no | no: it is one machine's file |
//! | `sqlite:PATH?durability=process` | yes | the last moments may be lost | no | no |
//! | `postgres://…` | yes | yes, unless `fsync` or `synchronous_commit` is off | as your replicas and backups | yes |
//! | `redis://…` with `appendonly yes` | yes | with `appendfsync always`; else about the last second is lost | no | yes, to the same Redis |
//! | `redis://…?wait=N` | yes | as above, and it has reached N replicas | what the replicas have | yes; a replica that is behind may be made the primary |
//! | `redis://…` as it comes | yes | no | no | yes |
//! | `memory:` | no | no | no | no |
//!
//! What a shop loses with a record: the operation is no longer known, so that a retry of it, within the five minutes that
//! the agent goes on for, runs it again. That is why SQLite and Postgres, in which effects and records are lost together
//! or not at all, are the stores for money. Redis is for effects that are elsewhere. Start-up warns where Redis or
//! Postgres says that it is set up so that it can lose what was answered, and where Redis may evict records when it is
//! full.
//!
//! No store survives being restored from a backup while the agent still retries: wait five minutes first. When a store
//! is away, calls are refused and nothing is started; when it is back, they go on without help. A full disk is the same.
//! The time that leases and records are measured by is the database's or Redis's own, so that a machine with a wrong
//! clock does no harm; with SQLite it is the machine's own since it was started, on which all processes of it agree and
//! which does not jump when its clock is set.
//!
//! # How to settle what is unknown
//! The agent tells a person which operation it is, for the problem names it. On the machine of the server, or on any
//! other with the same program and `OPERATOR_STORE`, while the servers go on:
//!
//! ```console
//! $ support-desk operations list --unknown
//! $ support-desk operations show 9f86d081884c
//! $ support-desk operations settle 9f86d081884c --done answer.json
//! $ support-desk operations settle 9f86d081884c --not-done
//! ```
//!
//! `list --unknown` shows each operation that only a person can decide, also one that was lost and that nobody has asked
//! for again. `show` says which endpoint was called, by which tenant, under which idempotency key, and when: look it up by
//! that key where the endpoint acts. Then say what you have found. `--done`: it has happened, and retries get the answer in
//! the file, which must be what the endpoint answers with. `--not-done`: it has not, and a retry runs it. Who has said so
//! (`--by`, else the name that you are logged in by) and when is kept in the record, and `show` prints it. What is still
//! running, or is known, is not settled; and an attempt that was thought to be lost, and turns up after it was settled,
//! cannot write over what was said. An operation that nobody settles is forgotten with its record, after an hour.
//!
//! # The figures to watch
//! They go to whatever recorder of the crate `metrics` is installed before the app is made. With the feature
//! `prometheus`, `OPERATOR_METRICS=127.0.0.1:9464` (or [`Config::metrics`](crate::Config::metrics)) has Prometheus scrape
//! them at `/metrics` on that port, which answers whoever reaches it: leave it on a private address.
//!
//! | figure | kind | what it says |
//! |---|---|---|
//! | `operator_calls_total{endpoint, outcome}` | counter | calls, by what came of them |
//! | `operator_waits_total{endpoint}` | counter | calls that waited because the same operation was running; those of a transactional endpoint are not counted |
//! | `operator_takeovers_total{endpoint}` | counter | attempts that went on where one was lost: crashes, and handlers that were frozen |
//! | `operator_unknown_outcomes_total{endpoint}` | counter | operations whose outcome has become unknown: **a person has to act** |
//! | `operator_transaction_seconds{endpoint}` | histogram | seconds that handlers kept their transaction open; on SQLite, every other write waits for that long |
//! | `operator_slow_transactions_total{endpoint}` | counter | those for which it was longer than 0.1 s: on SQLite, such a handler holds every writer up, so have it await nothing slow |
//! | `operator_store_seconds{operation}` | histogram | seconds that the store took: for a `swap` (a claim, a sign of life or an end), a whole `transaction` with its wait, handler and commit, a `sweep` of expired records, a `count` |
//! | `operator_records{state}` | gauge | records in the store, counted once a minute, by each server that shares it (so take the largest, not the sum): all that are `held`, those that are `unknown`, those that are `lost`, those that a person has `settled` |
//! | `operator_log_lines_lost_total` | counter | lines of `App::run`'s log that were lost, because its reader was gone or too slow, or its disk full; calls go on |
//!
//! An attempt that was lost, its server killed, is `lost` until a retry asks for it: then it runs again, or is
//! `unknown`. Where a retry may not run it, a person has to act on either.
//!
//! A program with a recorder of its own has `operator_records` with
//! [`Config::count_records`](crate::Config::count_records). The outcomes of a call; one that waits for a transaction in
//! vain is told so (`still_running`, `turned_away`), and counted once more with what it comes to when its turn is there.
//! The log says the same words, as `outcome`:
//!
//! | outcome | the caller got |
//! |---|---|
//! | `done` | the handler's answer |
//! | `declined` | a 4xx of the handler's |
//! | `invalid` | 400: an input is wrong, or the body is not readable |
//! | `failed` | a 5xx of the handler's, or of its panic |
//! | `replayed` | the answer of an earlier call |
//! | `still_running` | 409: the same operation was still running |
//! | `key_reused` | 422: the key belongs to another request |
//! | `outcome_unknown` | 500: it may have taken effect; a person has to settle it |
//! | `outcome_not_recorded` | 503: it may have taken effect, and the store could not keep that |
//! | `response_not_kept` | 500: its answer was too long to keep, and it is over, or in a transaction undone |
//! | `timed_out` | 503: the handler took too long, and nothing was kept |
//! | `store_unavailable` | 503: the store could not be asked or is full, and nothing was started, or could not keep a transaction, and nothing is kept |
//! | `turned_away` | 503: the server was full or stopping, and nothing was started; or other work was before this (`not-begun`) |
//! | `not_verified` | 400 or 401: not signed, stale, or malformed; limits of size and time come before and are not counted |

pub(crate) mod admission;
mod claiming;
pub(crate) mod doubtful;
pub(crate) mod effect;
pub(crate) mod lease;
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
