//! The audit in Postgres: a table that people may query with SQL, in the schema of the records.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::PostgresStore;
use super::schema::{self, Place};
use super::session::{Failure, Session};
use crate::store::{
    Audit, AuditFilter, AuditLog, AuditPage, AuditRow, Audited, BoxFuture, Cursor, OperationId, Origin, StoreError,
};

/// The table. People query it, so `docs/operating.md` documents its columns. `inputs` and `answer` are text and not
/// `json`, so that no answer of a handler can be refused; SQL reads them by `inputs::json`.
pub(super) const TABLE: &str = "
    CREATE TABLE {schema}operator_audit (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        ended timestamptz NOT NULL,
        operation text NOT NULL,
        idempotency_key text NOT NULL,
        tenant text NOT NULL,
        key_id text,
        scheme text,
        endpoint text NOT NULL,
        inputs text,
        outcome text NOT NULL,
        status integer,
        answer text,
        attempts bigint NOT NULL,
        trace_id text,
        settled_by text
    );
    CREATE INDEX operator_audit_ended ON {schema}operator_audit (ended, id);
";

/// The beginning of a statement that adds a row. The parameter `{row}` is a list of the texts in [`texts`].
const INSERT: &str = "INSERT INTO {schema}operator_audit (ended, operation, idempotency_key, tenant, key_id, scheme,
    endpoint, inputs, outcome, status, answer, attempts, trace_id, settled_by)
    SELECT clock_timestamp(), ({row})[1], ({row})[2], ({row})[3], ({row})[4], ({row})[5], ({row})[6], ({row})[7],
    ({row})[8], ({row})[9]::integer, ({row})[10], ({row})[11]::bigint, ({row})[12], ({row})[13]";

/// Adds nothing, but needs the rights and the lock on the table that adding a row needs. So a claim waits, and then fails,
/// if somebody has locked the table.
const NOTHING: &str = "INSERT INTO {schema}operator_audit (outcome) SELECT NULL WHERE false";

const PAGE: &str =
    "SELECT ended, operation, idempotency_key, tenant, key_id, scheme, endpoint, inputs, outcome, status,
    answer, attempts, trace_id, settled_by, id FROM {schema}operator_audit
    WHERE ended >= coalesce($1, timestamptz '-infinity') AND (ended, id) < (coalesce($2, timestamptz 'infinity'), $3)
    AND ($4::text IS NULL OR endpoint = $4) AND ($5::text IS NULL OR idempotency_key = $5)
    AND ($6::text IS NULL OR left(operation, length($6)) = $6) ORDER BY ended DESC, id DESC LIMIT $7";

const SWEEP: &str = "DELETE FROM {schema}operator_audit WHERE id IN (SELECT id FROM {schema}operator_audit
    WHERE ended < now() - make_interval(secs => $1) ORDER BY ended LIMIT $2)";

/// Whether the database can store every text.
const ENCODING: &str = "SELECT current_setting('server_encoding') IN ('UTF8', 'SQL_ASCII')";

/// A write of a record in three forms, by what it adds to the audit.
#[derive(Debug)]
pub(super) struct Forms {
    nothing: String,
    later: String,
    row: String,
}

impl Forms {
    /// The forms of a statement that changes one row, or none, and has this number of parameters. The statement with a row
    /// changes as many rows as the statement alone.
    pub(super) fn of_write(place: &Place, sql: &str, parameters: usize) -> Self {
        let insert = insert(parameters + 1);
        Self {
            nothing: place.sql(sql),
            later: place.sql(&format!("WITH audited AS ({NOTHING}) {sql}")),
            row: place.sql(&format!("WITH written AS ({sql} RETURNING 1) {insert} FROM written")),
        }
    }

    pub(super) fn of(&self, audit: &Audit) -> &str {
        match audit {
            Audit::Nothing => &self.nothing,
            Audit::Later => &self.later,
            Audit::Row(_) => &self.row,
        }
    }
}

/// SQL that adds the row in the parameter of this number.
pub(super) fn insert(parameter: usize) -> String {
    INSERT.replace("{row}", &format!("${parameter}::text[]"))
}

/// The values of a row in the order of [`INSERT`]. Postgres cannot store a NUL, so another character stands for it.
pub(super) fn texts(row: &AuditRow) -> Vec<Option<String>> {
    let AuditRow {
        operation,
        origin,
        key_id,
        scheme,
        inputs,
        outcome,
        status,
        answer,
        attempts,
        trace_id,
        settled_by,
    } = row;
    let text = |text: &str| Some(text.replace('\0', "\u{fffd}"));
    let optional = |value: &Option<String>| value.as_deref().and_then(text);
    vec![
        Some(operation.to_string()),
        text(origin.idempotency_key()),
        text(origin.tenant()),
        optional(key_id),
        scheme.as_deref().and_then(text),
        text(origin.endpoint()),
        optional(inputs),
        text(outcome),
        status.map(|status| status.to_string()),
        optional(answer),
        Some(attempts.to_string()),
        optional(trace_id),
        optional(settled_by),
    ]
}

/// The statements on the audit alone.
#[derive(Debug)]
pub(super) struct Statements {
    add: String,
    page: String,
    sweep: String,
}

impl Statements {
    pub(super) fn new(place: &Place) -> Self {
        Self {
            add: place.sql(&insert(1)),
            page: place.sql(PAGE),
            sweep: place.sql(SWEEP),
        }
    }

    async fn page(
        &self,
        session: &Session,
        filter: &AuditFilter,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<AuditPage, Failure> {
        let page = session.prepare_cached(&self.page).await?;
        let (ended, id) = after.and_then(place).unzip();
        let (id, most) = (id.unwrap_or(i64::MAX), i64::from(limit));
        let parameters: [&(dyn ToSql + Sync); 7] = [
            &filter.since,
            &ended,
            &id,
            &filter.endpoint,
            &filter.idempotency_key,
            &filter.operation,
            &most,
        ];
        let rows = session.query(&page, &parameters).await?;
        let rows: Result<Vec<_>, Failure> = rows.iter().map(read).collect();
        Ok(AuditPage::of_placed(rows?, limit))
    }
}

fn read(row: &Row) -> Result<(Cursor, Audited), Failure> {
    let ended: SystemTime = row.try_get(0)?;
    let operation: &str = row.try_get(1)?;
    let (key, tenant, endpoint) = (row.try_get(2)?, row.try_get(3)?, row.try_get(6)?);
    let audited = AuditRow {
        // A row that a person has written may have anything here, and is listed nevertheless.
        operation: operation.parse().unwrap_or(OperationId::from_bytes([0; 32])),
        origin: Origin::new(endpoint, key, tenant),
        key_id: row.try_get(4)?,
        scheme: row.try_get::<_, Option<String>>(5)?.map(Cow::Owned),
        inputs: row.try_get(7)?,
        outcome: Cow::Owned(row.try_get(8)?),
        status: row
            .try_get::<_, Option<i32>>(9)?
            .and_then(|status| status.try_into().ok()),
        answer: row.try_get(10)?,
        attempts: row.try_get::<_, i64>(11)?.try_into().unwrap_or(u32::MAX),
        trace_id: row.try_get(12)?,
        settled_by: row.try_get(13)?,
    };
    let id: i64 = row.try_get(14)?;
    let since = ended.duration_since(UNIX_EPOCH).unwrap_or_default();
    let cursor = Cursor(format!("{id} {}", since.as_micros()).into_bytes());
    Ok((cursor, Audited::new(ended, audited)))
}

/// The time and the id of the row after which a page begins. Postgres counts in microseconds.
fn place(cursor: &Cursor) -> Option<(SystemTime, i64)> {
    let (id, micros) = str::from_utf8(&cursor.0).ok()?.split_once(' ')?;
    let since = Duration::from_micros(micros.parse().ok()?);
    Some((UNIX_EPOCH.checked_add(since)?, id.parse().ok()?))
}

impl AuditLog for PostgresStore {
    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async {
            let asking = async |session: &Session| {
                let missing = schema::missing_for_audit(session, &self.schema).await?;
                let is_unicode: bool = session.query_one(ENCODING, &[]).await?.try_get(0)?;
                Ok((missing, is_unicode))
            };
            let (missing, is_unicode) = self.ask("be asked for its rights", asking).await?;
            if let Some(missing) = missing {
                return Err(schema::denied(&missing, "operator_audit", &self.schema, &self.name));
            }
            if is_unicode {
                return Ok(());
            }
            Err(StoreError::NotReady {
                store: self.name.to_string(),
                why: "has an encoding that cannot store every text, so an operation could fail because of its row: use a database with the encoding UTF8".to_owned(),
            })
        })
    }

    fn add(&self, row: AuditRow) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.ask("add a row to its audit", async move |session| {
            let add = session.prepare_cached(&self.audit.add).await?;
            Ok(session.execute(&add, &[&texts(&row)]).await.map(drop)?)
        }))
    }

    fn page(
        &self,
        filter: AuditFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> BoxFuture<'_, Result<AuditPage, StoreError>> {
        Box::pin(self.ask("list its audit", async move |session| {
            self.audit.page(session, &filter, after.as_ref(), limit).await
        }))
    }

    fn sweep_rows(&self, older_than: Duration, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.ask("remove old rows of its audit", async move |session| {
            let sweep = session.prepare_cached(&self.audit.sweep).await?;
            let removed = session
                .execute(&sweep, &[&older_than.as_secs_f64(), &i64::from(limit)])
                .await?;
            Ok(u32::try_from(removed).unwrap_or(limit))
        }))
    }
}
