//! The rule for a store with an audit: a row is added if, and only if, its record is written.

use std::sync::Arc;

use super::{in_progress, record};
use crate::store::{
    Audit, AuditFilter, AuditLog, AuditRow, FirstSeen, OperationId, Origin, Proposal, Revision, State, Store, Swap,
};

pub(super) async fn a_row_is_added_with_its_record_only(store: &dyn Store, id: OperationId) {
    let Some(log) = store.audit() else { return };
    log.ready().await.expect("the audit is ready");
    let write = async |expected, state, audit| {
        let proposal = Proposal {
            id,
            expected,
            new: Arc::new(if state == State::InProgress {
                in_progress(1)
            } else {
                record(1, state)
            }),
            first_seen: FirstSeen::Keep,
            audit,
        };
        store.swap(proposal).wait().await.expect("the store writes")
    };
    let row = || {
        let mut row = AuditRow::new(id, Origin::new("contract", "key", "store contract"), "done");
        row.key_id = Some("main".to_owned());
        row.scheme = Some("hmac".into());
        row.inputs = Some("{\"order\":\"\\u0000\"}".to_owned());
        row.status = Some(200);
        row.answer = Some("\"é\"".to_owned());
        row.attempts = u32::MAX;
        row.trace_id = Some("0af7651916cd43dd8448eb211c80319c".to_owned());
        row.settled_by = Some("ana".to_owned());
        row
    };
    let count = async || rows(log, id).await.len();
    let before = count().await;
    let Swap::Swapped(claimed) = write(None, State::InProgress, Audit::Later).await else {
        panic!("a new operation is claimed")
    };
    assert_eq!(count().await, before, "a claim adds no row");
    let stale = Some(Revision(claimed.0.wrapping_add(1)));
    let refused = write(stale, State::Released, Audit::Row(Arc::new(row()))).await;
    assert!(matches!(refused, Swap::Held { .. }), "{refused:?}");
    assert_eq!(count().await, before, "a write that is refused adds no row");
    let completed = write(Some(claimed), State::Released, Audit::Row(Arc::new(row()))).await;
    assert!(matches!(completed, Swap::Swapped(_)), "{completed:?}");
    let added = rows(log, id).await;
    assert_eq!(added.len(), before + 1, "the write adds one row");
    assert_eq!(
        added.first(),
        Some(&row()),
        "a row is listed as it was added, the newest first"
    );
}

async fn rows(log: &dyn AuditLog, id: OperationId) -> Vec<AuditRow> {
    let filter = AuditFilter {
        operation: Some(id.to_string()),
        ..AuditFilter::default()
    };
    let page = log.page(filter, None, 100).await.expect("the audit is listed");
    page.rows.into_iter().map(|audited| audited.row).collect()
}
