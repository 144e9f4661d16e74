//! Runs a call whose handler works in the store's transaction: waits for earlier calls of the same operation, runs the
//! handler, and answers a call that waits too long.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use super::Pipeline;
use super::admitting::Admitted;
use super::attempt::run;
use super::detached::Detached;
use super::large::{self, Turn};
use super::limits;
use super::operation::Operation;
use super::prepared::PreparedEndpoint;
use super::reply::{Reply, busy, mismatch, not_recorded, not_taken_up, queued, reply_of, reply_of_record, undone};
use crate::endpoint::invocation::{Invocation, TransactionSlot};
use crate::idempotency::auditing::Ending;
use crate::idempotency::effect::Effect;
use crate::idempotency::limiting::Needs;
use crate::idempotency::operations::Operations;
use crate::idempotency::progress::{Progress, Stage};
use crate::idempotency::transacted::{Transacted, TransactionAsked, TransactionalHandler};
use crate::problem::Error;
use crate::store::StoreError;

impl Pipeline {
    pub(super) async fn transact(&self, mut invocation: Invocation, call: Admitted, operation: Operation) -> Reply {
        let Admitted { permit, account, span } = call;
        let Some(taken_up) = self.transactions.take_up(operation.id, operation.first.fingerprint) else {
            return span.in_scope(|| account.close(Reply::from_error(&mismatch())));
        };
        let operations = self.operations.clone();
        let progress = Arc::new(Progress::default());
        let waited_too_long = waited_too_long(
            operations.settings().wait.min(account.endpoint().longest_wait()),
            taken_up.is_duplicate(),
            Arc::clone(&progress),
        );
        let early = (account.clone(), span.clone());
        let work = async move {
            let _permit = permit;
            // Waits for earlier calls of the same operation before it takes a store connection, so that waiting
            // duplicates do not use up the connections.
            let _turn = taken_up.turn().await;
            if let Err(error) = check_large(&mut invocation).await {
                return account.close(Reply::from_error(&error));
            }
            let endpoint = account.shared_endpoint();
            // Before the transaction, so that other transactions do not wait while the inputs are read.
            let needs = match &endpoint.endpoint.limits {
                Some(limits) => Box::pin(limits::needs(&endpoint, limits, &mut invocation)).await,
                None => Ok(Vec::new()),
            };
            account.close(transact(operations, endpoint, operation, invocation, needs, &progress).await)
        };
        let mut running = Detached::new(&self.running, work.instrument(span));
        tokio::select! {
            biased;
            reply = &mut running => reply,
            // The work stays in the queue and runs later, so that a retry gets its answer.
            error = waited_too_long => {
                let (account, span) = early;
                span.in_scope(|| account.close(Reply::from_error(&error)))
            }
        }
    }
}

/// Checks the inputs of a large body before the transaction begins, because other transactions wait for this one.
async fn check_large(invocation: &mut Invocation) -> Result<(), Error> {
    let effort = invocation.effort();
    if large::is_large(effort) {
        let turn = Turn::of(effort).await?;
        large::run(effort, || invocation.check());
        drop(turn);
    }
    Ok(())
}

/// Returns after `wait` if the handler has not started by then. The error says what the call is waiting for: another
/// attempt at the same operation, in this process or in another one, or other work ahead of the call.
async fn waited_too_long(wait: Duration, is_duplicate: bool, progress: Arc<Progress>) -> Error {
    tokio::time::sleep(wait).await;
    match progress.stage() {
        Stage::Queued if !is_duplicate => queued(),
        Stage::Queued | Stage::Claiming => busy(),
        Stage::Running => std::future::pending().await,
    }
}

async fn transact(
    operations: Operations,
    endpoint: Arc<PreparedEndpoint>,
    operation: Operation,
    invocation: Invocation,
    needs: Needs,
    progress: &Arc<Progress>,
) -> Reply {
    let max_execution = endpoint.max_execution;
    let (id, draft) = (operation.id, operation.draft.clone());
    let asked = TransactionAsked {
        id,
        first: operation.first,
        max_execution,
        draft: operation.draft,
    };
    let handler = move || -> TransactionalHandler {
        let invocation = invocation.again();
        let endpoint = Arc::clone(&endpoint);
        Box::new(move |transaction, limit| {
            Box::pin(async move {
                let running = run(&endpoint, invocation, limit, TransactionSlot(Some(transaction)), None);
                endpoint.meter.in_transaction(running).await
            })
        })
    };
    let transacted = operations.transact(asked, progress, needs, handler).await;
    let is_undone = match &transacted {
        Ok(Transacted::Ran(answer)) => answer.is_undone_for_good(),
        Err(StoreError::EndedByHandler) => true,
        Ok(Transacted::Told(_) | Transacted::CommitUnknown) | Err(_) => false,
    };
    let reply = match transacted {
        Ok(Transacted::Ran(answer)) => reply_of(answer, Effect::Transactional, None),
        Ok(Transacted::Told(recorded)) => reply_of_record(recorded, id),
        Ok(Transacted::CommitUnknown) => Reply::from_error(&not_recorded()),
        Err(error) if progress.stage() == Stage::Running => Reply::from_error(&undone(&error)),
        Err(error) => Reply::from_error(&not_taken_up(&error)),
    };
    if let Some(draft) = draft.filter(|_| is_undone) {
        let ending = Ending {
            outcome: reply.outcome(),
            status: reply.status,
            answer: Some(&reply.body),
        };
        operations.add_to_audit(draft.row(&ending, 1)).await;
    }
    reply
}
