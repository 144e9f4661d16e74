//! Which rows of the audit belong to an operation that a person settles.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::super::machine::Settings;
use super::super::operations::{Operations, Retention};
use crate::clock::{Clock as _, ManualClock};
use crate::record::AuditRow;
use crate::record::operation::{OperationId, Origin};
use crate::store::{Durability, SqliteStore};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn the_inputs_of_an_earlier_operation_with_the_same_key_are_not_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(ManualClock::at(DAY * 20_000));
    let store = SqliteStore::open_with(folder.path().join("operator.db"), Durability::PowerLoss, clock.clone());
    let operations = Operations::audited(
        Arc::new(store.expect("opens")),
        Settings::default(),
        Some(Retention::For(DAY)),
    );
    let id = OperationId::new("shop", "key");
    let first_seen = || UNIX_EPOCH + clock.since_unix_epoch();
    let earlier = first_seen();
    let mut row = AuditRow::new(id, Origin::new("pay", "key", "shop"), "done");
    row.inputs = Some("{}".to_owned());
    let log = operations.store().audit().expect("an audit");
    log.add(row.clone()).await.expect("added");
    clock.advance(DAY);
    let found = async |first_seen| operations.row_with_inputs(id, first_seen).await.expect("read");
    assert_eq!(found(first_seen()).await, None);
    assert_eq!(found(earlier).await, Some(row));
}
