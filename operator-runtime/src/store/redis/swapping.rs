//! The compare-and-swap as one Lua script on one key, and its answers.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Cmd, Value};
use bytes::Bytes;

use crate::record::at_milliseconds;
use crate::store::{Ages, FirstSeen, OperationId, Record, Revision, StoreError, Swap, Times};

/// A record is one string: its revision, the times when it was written and first seen (in milliseconds of Redis's clock),
/// each in eight bytes, and its own bytes. A hash of four fields would take half as much memory again. The script returns
/// 1 for "written", 0 for "gone", or the current string and the time.
///
/// The key expires once the time for which records are valid has passed since the last write: by then the record is
/// expired by the rules too, and every lease has ended. A replay writes nothing, so it does not extend the expiry.
///
/// `WAIT`, which follows the script if replicas have to confirm records, waits only for writes of its own connection.
/// So a record that an earlier connection or another process has written is touched: its revision is written again.
pub(super) const SCRIPT: &str = "\
local key, expected, revision, record, reset, keep_for = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local touches = ARGV[6] == '1'
local held = redis.call('GET', key)
local found = held and string.sub(held, 1, 8) or ''
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if held and found ~= expected and touches then
  redis.call('SETRANGE', key, 0, found)
end
if found == revision then
  return 1
end
if found ~= expected then
  if not held then
    return 0
  end
  return { held, now }
end
local first_seen = now
if held and reset ~= '1' then
  first_seen = struct.unpack('>I8', held, 17)
end
redis.call('SET', key, revision .. struct.pack('>I8I8', now, first_seen) .. record, 'PX', keep_for)
return 1
";

/// What a key holds.
pub(super) struct Stored {
    pub(super) revision: Revision,
    written: i64,
    first_seen: i64,
    pub(super) record: Bytes,
}

impl Stored {
    /// `None` if these bytes are not a record of this store.
    pub(super) fn read(bytes: Vec<u8>) -> Option<Self> {
        let [revision, written, first_seen] = *bytes.as_chunks().0.first_chunk()?;
        Some(Self {
            revision: Revision(u64::from_be_bytes(revision)),
            written: i64::from_be_bytes(written),
            first_seen: i64::from_be_bytes(first_seen),
            record: Bytes::from(bytes).slice(24..),
        })
    }

    /// The ages at this time of Redis's clock.
    pub(super) fn ages(&self, now: i64) -> Ages {
        Ages {
            since_written: age(now.saturating_sub(self.written)),
            since_first_seen: age(now.saturating_sub(self.first_seen)),
        }
    }

    pub(super) fn times(&self) -> Times {
        Times {
            first_seen: at_milliseconds(self.first_seen),
            written: at_milliseconds(self.written),
        }
    }
}

/// The arguments of the script.
pub(super) struct Arguments {
    key: Vec<u8>,
    expected: Option<[u8; 8]>,
    revision: [u8; 8],
    record: Vec<u8>,
    reset: &'static str,
    keep_for_ms: u64,
    /// Whether a record that is only read is touched.
    touches: &'static str,
}

impl Arguments {
    pub(super) fn new(
        id: OperationId,
        expected: Option<Revision>,
        revision: Revision,
        new: &Record,
        first_seen: FirstSeen,
        keep_for_ms: u64,
        is_confirmed: bool,
    ) -> Self {
        Self {
            key: key_of(&id),
            expected: expected.map(|expected| expected.0.to_be_bytes()),
            revision: revision.0.to_be_bytes(),
            record: new.encode(),
            reset: if first_seen == FirstSeen::Reset { "1" } else { "0" },
            keep_for_ms,
            touches: if is_confirmed { "1" } else { "0" },
        }
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// The command `EVAL` with the script itself, or `EVALSHA` with its SHA-1.
    pub(super) fn command(&self, evaluates: &str, script: &str) -> Cmd {
        let mut command = Cmd::new();
        command
            .arg(evaluates)
            .arg(script)
            .arg(1)
            .arg(&self.key)
            .arg(self.expected.as_ref().map_or(&[][..], |expected| expected))
            .arg(&self.revision)
            .arg(&self.record)
            .arg(self.reset)
            .arg(self.keep_for_ms)
            .arg(self.touches);
        command
    }
}

/// The prefix of the operations' keys; the id follows.
pub(super) const PREFIX: &[u8] = b"operator:";

pub(super) fn key_of(id: &OperationId) -> Vec<u8> {
    [PREFIX, id.as_bytes()].concat()
}

/// Reads the script's answer to a write of `revision`.
pub(super) fn read(answer: Value, revision: Revision, name: &str) -> Result<Swap, StoreError> {
    match answer {
        Value::Int(1) => return Ok(Swap::Swapped(revision)),
        Value::Int(0) => return Ok(Swap::Gone),
        Value::Array(fields) => {
            if let Ok([Value::BulkString(held), Value::Int(now)]) = <[Value; 2]>::try_from(fields)
                && let Some(stored) = Stored::read(held)
            {
                let ages = stored.ages(now);
                let record = Record::decode(stored.record).map_err(|source| StoreError::Unreadable {
                    store: name.to_owned(),
                    source,
                })?;
                return Ok(Swap::Held {
                    revision: stored.revision,
                    record: Arc::new(record),
                    ages,
                });
            }
        }
        _ => {}
    }
    Err(foreign(name))
}

/// The error for a key that does not hold a record.
pub(super) fn foreign(name: &str) -> StoreError {
    let source = std::io::Error::other(
        "another program has written to a key that begins with `operator:`; give this store a database of its own",
    );
    StoreError::unavailable(name, "read a record", source)
}

/// An age. It is zero, not negative, if Redis's clock was set back.
pub(super) fn age(milliseconds: i64) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}
