//! How long rows of the audit are kept.

use super::{Arc, Duration, OperationId, Operations, Retention, Settings};
use crate::clock::ManualClock;
use crate::record::AuditRow;
use crate::record::operation::Origin;
use crate::store::{Durability, SqliteStore, Store};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `dev` has no retention, and may use the file of a program that has one.
#[tokio::test]
async fn rows_of_the_audit_are_removed_only_if_a_setting_says_how_long_they_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(ManualClock::at(DAY * 20_000));
    let store = SqliteStore::open_with(folder.path().join("operator.db"), Durability::PowerLoss, clock.clone());
    let store: Arc<dyn Store> = Arc::new(store.expect("opens"));
    let row = AuditRow::new(OperationId::new("shop", "key"), Origin::default(), "done");
    let log = store.audit().expect("an audit");
    log.add(row).await.expect("added");
    clock.advance(DAY * 1_000);
    for (retention, removed) in [
        (None, 0),
        (Some(Retention::Unlimited), 0),
        (Some(Retention::For(DAY)), 1),
    ] {
        let operations = Operations::audited(Arc::clone(&store), Settings::default(), retention);
        assert_eq!(
            operations.sweep_audit().await.expect("sweeps"),
            removed,
            "{retention:?}"
        );
    }
}
