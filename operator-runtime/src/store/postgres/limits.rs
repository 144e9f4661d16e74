//! The SQL statements on limits. Each limited value has a row with the sum of its reservations, which is also the lock
//! on the value, and a row for each reservation. All times come from Postgres's clock.

use std::time::Duration;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::PostgresStore;
use super::records::Write;
use super::schema::Place;
use super::session::{Failure, Session};
use crate::limit::{Holder, LimitedValue, Reservation, Reserved};
use crate::store::{BoxFuture, Limits, StoreError};

/// Reserves a part of a limit in one statement, so that one round trip is enough, and without a transaction of its own.
/// Nothing happens, and the answer is empty, if `{claimed}` is false.
///
/// The statement first removes what has ended, and then changes the row of the value, for which it waits. After the wait,
/// Postgres evaluates the new values with the row that the other transaction has written. Rows that other transactions have
/// removed meanwhile are not counted a second time, because `DELETE` returns only what it removes. Every statement on a
/// value locks its reservations first and its row second, so that no two of them wait for each other.
///
/// All that has ended is removed, and not only a batch: what stays could not be subtracted, because another transaction may
/// remove and subtract it before this one gets the row.
const RESERVE: &str = "WITH ended AS (
        DELETE FROM {schema}operator_reservations WHERE value = $1 AND ends <= clock_timestamp() AND {claimed}
        RETURNING amount
    ), freed AS (SELECT coalesce(sum(amount), 0)::bigint AS amount FROM ended
    ), counted AS (
        INSERT INTO {schema}operator_limits AS held (value, used, last)
        SELECT $1, $4::bigint, $2::bigint FROM freed WHERE {claimed}
        ON CONFLICT (value) DO UPDATE SET
            used = held.used - (SELECT amount FROM freed)
                + CASE WHEN held.used - (SELECT amount FROM freed) <= $5::bigint - $4::bigint THEN $4::bigint ELSE 0 END,
            last = CASE WHEN held.used - (SELECT amount FROM freed) <= $5::bigint - $4::bigint THEN $2::bigint END
        RETURNING used, last
    ), granted AS (
        INSERT INTO {schema}operator_reservations (value, ends, serial, epoch, amount, reserved)
        SELECT $1, clock_timestamp() + make_interval(secs => $6), $2::bigint, $3::bigint, $4::bigint, clock_timestamp()
        FROM counted WHERE last IS NOT NULL
    )
    SELECT used, last IS NOT NULL FROM counted";
/// Whether the claim that was sent before the reservation has written its record.
const CLAIMED: &str = "EXISTS (SELECT FROM {schema}operator_operations WHERE id = $7 AND revision = $8)";
/// Removes what has ended, and all but one of an operation's reservations: a first attempt that reserves late does not look
/// for what a later attempt has reserved.
const EXPIRE: &str = "WITH ended AS (
        DELETE FROM {schema}operator_reservations AS held WHERE value = $1
            AND (ends <= clock_timestamp() OR serial = $2 AND EXISTS (
                SELECT FROM {schema}operator_reservations AS kept WHERE kept.value = $1 AND kept.serial = $2
                    AND kept.ends > clock_timestamp() AND (kept.epoch, kept.ends) > (held.epoch, held.ends)))
        RETURNING amount
    ), freed AS (SELECT sum(amount)::bigint AS amount FROM ended)
    UPDATE {schema}operator_limits AS held SET used = held.used - freed.amount FROM freed
    WHERE held.value = $1 AND freed.amount IS NOT NULL";
/// The same for a later attempt, or for a first attempt whose answer was lost. What the operation holds is taken over, if
/// it holds something, and otherwise the answer is empty. An attempt that is not later than the holder changes nothing.
const TAKE_OVER: &str = "WITH own AS MATERIALIZED (
        SELECT value, ends, serial, epoch, amount FROM {schema}operator_reservations
        WHERE value = $1 AND serial = $2 AND ends > clock_timestamp() ORDER BY epoch DESC, ends DESC LIMIT 1 FOR UPDATE
    ), counted AS (
        UPDATE {schema}operator_limits AS held SET used = held.used + greatest($4::bigint - own.amount, 0)
        FROM own WHERE held.value = $1
            AND ($4::bigint <= own.amount OR held.used <= $5::bigint - ($4::bigint - own.amount))
        RETURNING held.used
    ), kept AS (
        UPDATE {schema}operator_reservations AS held
        SET ends = CASE WHEN $3::bigint > own.epoch OR $4::bigint > own.amount
                THEN clock_timestamp() + make_interval(secs => $6) ELSE held.ends END,
            epoch = greatest($3::bigint, own.epoch), amount = greatest($4::bigint, own.amount)
        FROM own, counted WHERE held.value = own.value AND held.ends = own.ends AND held.serial = own.serial
    )
    SELECT coalesce((SELECT used FROM counted),
            (SELECT used FROM {schema}operator_limits WHERE value = $1), 0),
        EXISTS (SELECT FROM counted), own.amount
    FROM own";
/// The time until reservations of the amount have ended, in milliseconds.
const ROOM_IN: &str = "SELECT coalesce(
        (SELECT (extract(epoch FROM ends - clock_timestamp()) * 1000)::bigint FROM (
            SELECT ends, sum(amount) OVER (ORDER BY ends, serial) AS freed
            FROM {schema}operator_reservations WHERE value = $1
        ) AS ending WHERE freed >= $2::bigint ORDER BY ends LIMIT 1),
        (SELECT (extract(epoch FROM max(ends) - clock_timestamp()) * 1000)::bigint
            FROM {schema}operator_reservations WHERE value = $1), 0)";
const GIVE_BACK: &str = "WITH given AS (
        DELETE FROM {schema}operator_reservations WHERE value = $1 AND serial = $2 AND epoch <= $3 RETURNING amount
    ), freed AS (SELECT sum(amount)::bigint AS amount FROM given)
    UPDATE {schema}operator_limits AS held SET used = held.used - freed.amount FROM freed
    WHERE held.value = $1 AND freed.amount IS NOT NULL";
/// The values of which an operation has reserved something. This reads all reservations, and runs only when a person settles
/// an operation.
const HELD_BY: &str = "SELECT value FROM {schema}operator_reservations WHERE serial = $1 AND epoch <= $2";
const USED: &str = "SELECT coalesce(sum(amount), 0)::bigint FROM {schema}operator_reservations
    WHERE value = $1 AND ends > clock_timestamp()";
/// Removes a batch of ended reservations, and returns the values and how many reservations were in the batch. This statement
/// waits for no lock, so that it is never part of a deadlock.
const SWEEP: &str = "WITH ending AS MATERIALIZED (
        SELECT value, ends, serial FROM {schema}operator_reservations
        WHERE ends <= clock_timestamp() ORDER BY ends LIMIT $1
    ), locked AS MATERIALIZED (
        SELECT value FROM {schema}operator_limits WHERE value IN (SELECT value FROM ending) FOR UPDATE SKIP LOCKED
    ), picked AS MATERIALIZED (
        SELECT held.value, held.ends, held.serial FROM {schema}operator_reservations AS held
        JOIN ending ON held.value = ending.value AND held.ends = ending.ends AND held.serial = ending.serial
        WHERE held.value IN (SELECT value FROM locked) FOR UPDATE OF held SKIP LOCKED
    ), ended AS (
        DELETE FROM {schema}operator_reservations AS held USING picked
        WHERE held.value = picked.value AND held.ends = picked.ends AND held.serial = picked.serial
        RETURNING held.value, held.amount
    ), freed AS (SELECT value, sum(amount)::bigint AS amount FROM ended GROUP BY value
    ), counted AS (
        UPDATE {schema}operator_limits AS held SET used = held.used - freed.amount
        FROM freed WHERE held.value = freed.value
    )
    SELECT value, (SELECT count(*) FROM ending) FROM freed";
/// Removes the rows of values of which nothing is reserved.
const FORGET: &str = "DELETE FROM {schema}operator_limits WHERE value IN (
    SELECT value FROM {schema}operator_limits WHERE value = ANY($1) AND used = 0 FOR UPDATE SKIP LOCKED)";

/// The statements on the limits in one schema.
#[derive(Debug)]
pub(super) struct Statements {
    reserve: String,
    /// The statement of [`reserve_with_claim`].
    pub(super) reserve_with_claim: String,
    expire: String,
    take_over: String,
    room_in: String,
    give_back: String,
    held_by: String,
    used: String,
    sweep: String,
    forget: String,
}

impl Statements {
    pub(super) fn new(place: &Place) -> Self {
        Self {
            reserve: place.sql(&RESERVE.replace("{claimed}", "true")),
            reserve_with_claim: place.sql(&RESERVE.replace("{claimed}", CLAIMED)),
            expire: place.sql(EXPIRE),
            take_over: place.sql(TAKE_OVER),
            room_in: place.sql(ROOM_IN),
            give_back: place.sql(GIVE_BACK),
            held_by: place.sql(HELD_BY),
            used: place.sql(USED),
            sweep: place.sql(SWEEP),
            forget: place.sql(FORGET),
        }
    }
}

/// The values of the parameters `$1` to `$6` of a reservation.
fn values(asked: &Reservation) -> (&[u8], i64, i64, i64, i64, f64) {
    let Reservation {
        value,
        holder,
        amount,
        max,
        window,
    } = asked;
    let (serial, epoch) = (holder.serial.get().cast_signed(), i64::from(holder.epoch));
    (
        value.as_bytes(),
        serial,
        epoch,
        signed(*amount),
        signed(*max),
        window.as_secs_f64(),
    )
}

/// Reserves a part of a limit for a first attempt, if the claim has written the record. The statement is sent at the first
/// poll, so that the claim can be sent before it.
pub(super) async fn reserve_with_claim(
    session: &Session,
    statement: &Statement,
    asked: &Reservation,
    claim: &Write,
) -> Result<Option<Row>, Failure> {
    let (value, serial, epoch, amount, max, window) = values(asked);
    let Write { id, revision, .. } = claim;
    let parameters: [&(dyn ToSql + Sync); 8] = [
        &value,
        &serial,
        &epoch,
        &amount,
        &max,
        &window,
        &id.as_slice(),
        revision,
    ];
    Ok(session.query_opt(statement, &parameters).await?)
}

/// Reserves a part of a limit. `may_be_held` says whether something may be reserved for the operation already.
pub(super) async fn reserve(
    session: &Session,
    sql: &Statements,
    asked: &Reservation,
    may_be_held: bool,
) -> Result<Reserved, Failure> {
    let (value, serial, epoch, amount, max, window) = values(asked);
    let parameters: [&(dyn ToSql + Sync); 6] = [&value, &serial, &epoch, &amount, &max, &window];
    if may_be_held {
        let expire = session.prepare_cached(&sql.expire).await?;
        session.execute(&expire, &parameters[..2]).await?;
        let take_over = session.prepare_cached(&sql.take_over).await?;
        if let Some(row) = session.query_opt(&take_over, &parameters).await? {
            let (used, granted, own): (i64, bool, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            return match granted {
                true => Ok(Reserved::Granted { anew: false }),
                false => over(session, sql, asked, used, amount - own).await,
            };
        }
    }
    let reserve = session.prepare_cached(&sql.reserve).await?;
    let row = session.query_one(&reserve, &parameters).await?;
    reserved(session, sql, asked, &row).await
}

/// The meaning of the row that a reservation returns.
pub(super) async fn reserved(
    session: &Session,
    sql: &Statements,
    asked: &Reservation,
    row: &Row,
) -> Result<Reserved, Failure> {
    let (used, granted): (i64, bool) = (row.try_get(0)?, row.try_get(1)?);
    match granted {
        true => Ok(Reserved::Granted { anew: true }),
        false => over(session, sql, asked, used, signed(asked.amount)).await,
    }
}

/// There is no room for `more`.
async fn over(
    session: &Session,
    sql: &Statements,
    asked: &Reservation,
    used: i64,
    more: i64,
) -> Result<Reserved, Failure> {
    let lacking = used + more - signed(asked.max);
    let room_in = session.prepare_cached(&sql.room_in).await?;
    let row = session
        .query_one(&room_in, &[&asked.value.as_bytes().as_slice(), &lacking])
        .await?;
    let milliseconds: i64 = row.try_get(0)?;
    Ok(Reserved::Over {
        used: u64::try_from(used).unwrap_or(0),
        room_in: Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0)),
    })
}

async fn give_back(session: &Session, sql: &Statements, holder: Holder, value: &[u8]) -> Result<(), Failure> {
    let give_back = session.prepare_cached(&sql.give_back).await?;
    let forget = session.prepare_cached(&sql.forget).await?;
    let (serial, epoch) = (holder.serial.get().cast_signed(), i64::from(holder.epoch));
    if session.execute(&give_back, &[&value, &serial, &epoch]).await? > 0 {
        session.execute(&forget, &[&[value].as_slice()]).await?;
    }
    Ok(())
}

async fn give_back_all(session: &Session, sql: &Statements, holder: Holder) -> Result<(), Failure> {
    let held_by = session.prepare_cached(&sql.held_by).await?;
    let (serial, epoch) = (holder.serial.get().cast_signed(), i64::from(holder.epoch));
    for row in session.query(&held_by, &[&serial, &epoch]).await? {
        give_back(session, sql, holder, row.try_get(0)?).await?;
    }
    Ok(())
}

async fn sweep(session: &Session, sql: &Statements, limit: u32) -> Result<bool, Failure> {
    let sweep = session.prepare_cached(&sql.sweep).await?;
    let rows = session.query(&sweep, &[&i64::from(limit)]).await?;
    let mut values: Vec<&[u8]> = Vec::with_capacity(rows.len());
    let mut found = 0;
    for row in &rows {
        values.push(row.try_get(0)?);
        found = row.try_get(1)?;
    }
    if !values.is_empty() {
        let forget = session.prepare_cached(&sql.forget).await?;
        session.execute(&forget, &[&values.as_slice()]).await?;
    }
    // If nothing of a full batch was removed, all of it is in use, so the next sweep is not at once.
    Ok(limit > 0 && found >= i64::from(limit))
}

/// Amounts are at most 2⁵³ − 1.
fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

impl PostgresStore {
    /// Sends the reservation once more if the connection was lost, or if another transaction was in the way. The first one
    /// may have been made; it is found by its number.
    async fn reserve_part(&self, asked: &Reservation) -> Result<Reserved, StoreError> {
        let doing = "reserve a part of a limit";
        let first = asked.holder.epoch <= 1;
        let once = async |may_be_held| {
            self.ask(doing, async |session| {
                reserve(session, &self.limits, asked, may_be_held).await
            })
            .await
        };
        match once(!first).await {
            Err(StoreError::Interrupted { .. }) => once(true).await,
            answer => answer,
        }
    }
}

impl Limits for PostgresStore {
    fn reserve(&self, asked: Reservation) -> BoxFuture<'_, Result<Reserved, StoreError>> {
        Box::pin(async move { self.reserve_part(&asked).await })
    }

    fn give_back(&self, holder: Holder, value: Option<LimitedValue>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(
            self.ask("give a part of a limit back", async move |session| match value {
                Some(value) => give_back(session, &self.limits, holder, value.as_bytes()).await,
                None => give_back_all(session, &self.limits, holder).await,
            }),
        )
    }

    fn used(&self, value: LimitedValue) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.ask("read how much of a limit is used", async move |session| {
            let used = session.prepare_cached(&self.limits.used).await?;
            let row = session.query_one(&used, &[&value.as_bytes().as_slice()]).await?;
            Ok(row.try_get::<_, i64>(0)?.cast_unsigned())
        }))
    }

    fn remove_ended(&self, limit: u32) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.ask("remove expired reservations", async move |session| {
            sweep(session, &self.limits, limit).await
        }))
    }
}
