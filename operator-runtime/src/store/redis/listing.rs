//! Listing and counting records by `SCAN`, which does not block the server: unordered, one node after the other.

use std::ops::RangeInclusive;
use std::time::Duration;

use ::redis::{Cmd, Pipeline, RedisError};

use super::connection::{Connection, Node};
use super::swapping::{PREFIX, Stored, age, foreign, key_of};
use crate::store::{Counts, Cursor, Listed, OperationId, Page, Record, StoreError};

pub(super) async fn page(
    connection: &Connection,
    name: &str,
    ids: &RangeInclusive<OperationId>,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page, StoreError> {
    let failed = |source| StoreError::unavailable(name, "list its records", source);
    let (found, now, held, next) = if ids.start() == ids.end() {
        let only = *ids.start();
        let (now, held) = read(connection, Node::Of(&key_of(&only)), &[only])
            .await
            .map_err(failed)?;
        (vec![only], now, held, None)
    } else {
        let Scanned { node, found, next } = scan(connection, after, limit).await.map_err(failed)?;
        let found: Vec<_> = found.into_iter().filter(|id| ids.contains(id)).collect();
        let (now, held) = read(connection, Node::At(&node), &found).await.map_err(failed)?;
        (found, now, held, next)
    };
    let listed = found.into_iter().zip(held).filter_map(|(id, held)| {
        // Without a value, the record has expired in the meantime.
        let stored = Stored::read(held?).ok_or_else(|| foreign(name));
        Some(stored.map(|stored| Listed {
            id,
            revision: stored.revision,
            ages: stored.ages(now),
            times: stored.times(),
            record: Record::decode(stored.record),
        }))
    });
    Ok(Page {
        records: listed.collect::<Result<_, _>>()?,
        next,
    })
}

/// The ids that one `SCAN` has found at a node, and where the next `SCAN` begins.
struct Scanned {
    node: String,
    found: Vec<OperationId>,
    next: Option<Cursor>,
}

async fn scan(connection: &Connection, after: Option<&Cursor>, limit: u32) -> Result<Scanned, RedisError> {
    let Keys { node, keys, next } = scan_keys(connection, PREFIX, after, limit).await?;
    let id_of = |key: Vec<u8>| key.strip_prefix(PREFIX)?.try_into().ok().map(OperationId::from_bytes);
    let found = keys.into_iter().filter_map(id_of).collect();
    Ok(Scanned { node, found, next })
}

/// The keys that one `SCAN` has found at a node, and where the next `SCAN` begins.
pub(super) struct Keys {
    pub(super) node: String,
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) next: Option<Cursor>,
}

/// The keys that begin with this prefix. Our cursor is the node's own cursor, a space, and the node's address.
pub(super) async fn scan_keys(
    connection: &Connection,
    prefix: &[u8],
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Keys, RedisError> {
    let mut ping = Cmd::new();
    ping.arg("PING");
    let mut nodes = connection.ask_every_primary::<String>(&ping).await?.into_keys();
    let after = after.map(|Cursor(after)| String::from_utf8_lossy(after).into_owned());
    let (begin, node) = match after.as_deref().and_then(|after| after.split_once(' ')) {
        Some((begin, node)) => (begin, node.to_owned()),
        None => ("0", nodes.next().unwrap_or_default()),
    };
    let mut scan = Pipeline::with_capacity(1);
    scan.cmd("SCAN")
        .arg(begin)
        .arg("MATCH")
        .arg([prefix, b"*"].concat())
        .arg("COUNT")
        .arg(limit.max(1));
    let ((end, keys),): ((String, Vec<Vec<u8>>),) = connection.ask_all(Node::At(&node), scan).await?;
    let next = if end == "0" {
        nodes.find(|next| *next > node).map(|next| format!("0 {next}"))
    } else {
        Some(format!("{end} {node}"))
    };
    Ok(Keys {
        node,
        keys,
        next: next.map(|next| Cursor(next.into_bytes())),
    })
}

/// The node's clock in milliseconds, and what each key holds.
async fn read(
    connection: &Connection,
    node: Node<'_>,
    ids: &[OperationId],
) -> Result<(i64, Vec<Option<Vec<u8>>>), RedisError> {
    let mut time = Pipeline::with_capacity(1);
    time.cmd("TIME");
    let ((seconds, microseconds),): ((i64, i64),) = connection.ask_all(node, time).await?;
    if ids.is_empty() {
        return Ok((0, Vec::new()));
    }
    let mut all = Pipeline::with_capacity(ids.len());
    for id in ids {
        all.cmd("GET").arg(key_of(id));
    }
    let held = connection.ask_all(node, all).await?;
    Ok((seconds * 1000 + microseconds / 1000, held))
}

/// The `COUNT` option of `SCAN` when records are counted: about how many keys each call looks at.
const STEP: u32 = 200;

/// Returns the second byte of a record and the time since it was last written, in milliseconds. Bodies are not sent,
/// because a count shares its connection with claims, which must not wait for long.
const LOOK: &str = "\
local held = redis.call('GETRANGE', KEYS[1], 8, 25)
if #held < 18 then
  return false
end
local time = redis.call('TIME')
return { string.byte(held, 18), time[1] * 1000 + math.floor(time[2] / 1000) - struct.unpack('>I8', held) }
";

pub(super) async fn count(connection: &Connection, lease: Duration) -> Result<Counts, RedisError> {
    let mut counts = Counts::default();
    let mut after = None;
    loop {
        let Scanned { node, found, next } = scan(connection, after.as_ref(), STEP).await?;
        // If `look` finds nothing for an id, its record has expired since the scan.
        let seen = look(connection, Node::At(&node), &found).await?;
        for (tag, since_written) in seen.into_iter().flatten() {
            counts.add_tagged(tag, age(since_written), lease);
        }
        match next {
            None => return Ok(counts),
            next => after = next,
        }
    }
}

async fn look(
    connection: &Connection,
    node: Node<'_>,
    ids: &[OperationId],
) -> Result<Vec<Option<(u8, i64)>>, RedisError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut all = Pipeline::with_capacity(ids.len());
    for id in ids {
        all.cmd("EVAL").arg(LOOK).arg(1).arg(key_of(id));
    }
    connection.ask_all(node, all).await
}
