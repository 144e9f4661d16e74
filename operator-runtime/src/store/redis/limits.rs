//! The limits as Lua scripts, each on one key: the key of a limited value is not the key of a record, so in a cluster they
//! may be on different nodes.

use std::time::Duration;

use ::redis::{Cmd, FromRedisValue as _, Pipeline, RedisError, Value};

use super::RedisStore;
use super::connection::{Connection, Node};
use super::listing;
use super::script::Script;
use crate::limit::{Holder, LimitedValue, Reservation, Reserved};
use crate::store::{BoxFuture, Limits, StoreError};

/// A limited value is a Redis hash. Its reservations are a queue, ordered by their ends, because the reservations of a
/// value all last equally long. The field `first` is the place of the oldest reservation, `next` the place after the
/// newest, and `used` the sum, also of what has ended and is not removed yet. The field of a place is a reservation: its
/// operation, attempt, amount and end. The field of an operation, which begins with `o`, is its place. A place whose
/// reservation was given back is empty.
///
/// A call removes at most 500 places that have ended, unless it needs their room, because a script blocks the server. A call
/// adds one, so calls still remove more than they add.
///
/// All numbers are below 2⁵³, so that Lua computes with them exactly.
const STATE: &str = "\
local key, serial, epoch = KEYS[1], ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number)
  return string.format('%.0f', number)
end
local state = redis.call('HMGET', key, 'used', 'first', 'next')
local used, first, next = tonumber(state[1] or 0), tonumber(state[2] or 0), tonumber(state[3] or 0)
local function held(place)
  local found = redis.call('HGET', key, text(place))
  if not found then
    return nil
  end
  local operation, epoch, amount, ends = string.match(found, '^(%S+) (%S+) (%S+) (%S+)$')
  return { operation = operation, epoch = tonumber(epoch), amount = tonumber(amount), ends = tonumber(ends) }
end
local function expire(most)
  while first < next and most > 0 do
    local oldest = held(first)
    if oldest then
      if oldest.ends > now then
        break
      end
      used = used - oldest.amount
      redis.call('HDEL', key, text(first), oldest.operation)
    end
    first, most = first + 1, most - 1
  end
end
expire(500)
local function write()
  if first == next or used == 0 then
    redis.call('DEL', key)
  else
    redis.call('HSET', key, 'used', text(used), 'first', text(first), 'next', text(next))
  end
end
local operation = 'o' .. serial
local place = tonumber(redis.call('HGET', key, operation) or nil)
local own = place and held(place)
if own and own.ends <= now then
  redis.call('HDEL', key, text(place), operation)
  used, own = used - own.amount, nil
end
";

/// Returns 1 if the reservation is made anew, 2 if the operation has one already, or how much is used and the time until
/// there is room, in milliseconds.
const RESERVE: &str = "\
local amount, max, window = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local more = amount
if own then
  more = math.max(amount - own.amount, 0)
end
local function is_over()
  return more > math.max(max - used, 0)
end
if is_over() then
  expire(next)
end
if is_over() then
  write()
  local freed, ends = 0, now
  for at = first, next - 1 do
    local one = held(at)
    if one then
      freed, ends = freed + one.amount, one.ends
      if freed >= more - (max - used) then
        break
      end
    end
  end
  return { text(used), text(ends - now) }
end
local answer = 1
if own then
  answer = 2
  if epoch <= own.epoch and more == 0 then
    write()
    return answer
  end
  redis.call('HDEL', key, text(place))
  epoch = math.max(epoch, own.epoch)
  amount = own.amount + more
end
local made = operation .. ' ' .. text(epoch) .. ' ' .. text(amount) .. ' ' .. text(now + window)
redis.call('HSET', key, text(next), made, operation, text(next))
used, next = used + more, next + 1
write()
redis.call('PEXPIRE', key, text(window))
return answer
";

const GIVE_BACK: &str = "\
if own and own.epoch <= epoch then
  redis.call('HDEL', key, text(place), operation)
  used = used - own.amount
end
write()
return 1
";

/// The sum of what has not ended. It is read without a write.
const USED: &str = "\
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'used', 'first', 'next')
local used = tonumber(state[1] or 0)
for place = tonumber(state[2] or 0), tonumber(state[3] or 0) - 1 do
  local found = redis.call('HGET', KEYS[1], string.format('%.0f', place))
  if found then
    local amount, ends = string.match(found, '(%S+) (%S+)$')
    if tonumber(ends) > now then
      break
    end
    used = used - tonumber(amount)
  end
end
return string.format('%.0f', used)
";

/// The prefix of the limited values' keys, which no key of a record has.
const PREFIX: &[u8] = b"operator-limit:";

/// How many keys a person who settles an operation looks through at a time.
const STEP: u32 = 500;

pub(super) struct Scripts {
    reserve: Script,
    give_back: Script,
}

impl Scripts {
    pub(super) async fn load(connection: &Connection, name: &str) -> Result<Self, StoreError> {
        Ok(Self {
            reserve: Script::load(connection, [STATE, RESERVE].concat(), name).await?,
            give_back: Script::load(connection, [STATE, GIVE_BACK].concat(), name).await?,
        })
    }
}

fn key_of(value: &LimitedValue) -> Vec<u8> {
    [PREFIX, value.as_bytes()].concat()
}

/// The arguments that every script begins with.
fn command(evaluates: &str, script: &str, key: &[u8], holder: Holder) -> Cmd {
    let mut command = Cmd::new();
    command.arg(evaluates).arg(script).arg(1).arg(key);
    command.arg(holder.serial.get()).arg(holder.epoch);
    command
}

impl RedisStore {
    async fn reserve_part(&self, asked: &Reservation) -> Result<Reserved, StoreError> {
        let key = key_of(&asked.value);
        let window = u64::try_from(asked.window.as_millis()).unwrap_or(u64::MAX);
        let answer = self
            .ask(&key, &self.limit_scripts.reserve, |evaluates, script| {
                let mut reserve = command(evaluates, script, &key, asked.holder);
                reserve.arg(asked.amount).arg(asked.max).arg(window);
                reserve
            })
            .await;
        match self.confirmed(answer, "reserve a part of a limit")? {
            Value::Int(1) => Ok(Reserved::Granted { anew: true }),
            Value::Int(2) => Ok(Reserved::Granted { anew: false }),
            over => {
                let (used, room_in) = <(u64, u64)>::from_redis_value(over)
                    .map_err(|source| StoreError::unavailable(&self.name, "read a limit", source))?;
                Ok(Reserved::Over {
                    used,
                    room_in: Duration::from_millis(room_in),
                })
            }
        }
    }

    async fn give_back_part(&self, holder: Holder, key: &[u8]) -> Result<(), StoreError> {
        let give_back = |evaluates: &str, script: &str| command(evaluates, script, key, holder);
        let answer = self.ask(key, &self.limit_scripts.give_back, give_back).await;
        self.confirmed(answer, "give a part of a limit back").map(drop)
    }

    /// Looks through the keys of all limited values.
    async fn give_back_all(&self, holder: Holder) -> Result<(), StoreError> {
        let failed = |source| StoreError::unavailable(&self.name, "give a part of a limit back", source);
        let operation = format!("o{}", holder.serial);
        let mut after = None;
        loop {
            let scanned = listing::scan_keys(&self.connection, PREFIX, after.as_ref(), STEP)
                .await
                .map_err(failed)?;
            let mut has_it = Pipeline::with_capacity(scanned.keys.len());
            for key in &scanned.keys {
                has_it.cmd("HEXISTS").arg(key).arg(&operation);
            }
            let found: Vec<bool> = match scanned.keys.is_empty() {
                true => Vec::new(),
                false => self
                    .connection
                    .ask_all(Node::At(&scanned.node), has_it)
                    .await
                    .map_err(failed)?,
            };
            for (key, _) in scanned.keys.iter().zip(found).filter(|(_, found)| *found) {
                self.give_back_part(holder, key).await?;
            }
            match scanned.next {
                None => return Ok(()),
                next => after = next,
            }
        }
    }
}

impl Limits for RedisStore {
    fn reserve(&self, asked: Reservation) -> BoxFuture<'_, Result<Reserved, StoreError>> {
        Box::pin(async move {
            self.refuse_when_closed()?;
            self.reserve_part(&asked).await
        })
    }

    fn give_back(&self, holder: Holder, value: Option<LimitedValue>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.refuse_when_closed()?;
            match value {
                Some(value) => self.give_back_part(holder, &key_of(&value)).await,
                None => self.give_back_all(holder).await,
            }
        })
    }

    fn used(&self, value: LimitedValue) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            self.refuse_when_closed()?;
            let failed =
                |source: RedisError| StoreError::unavailable(&self.name, "read how much of a limit is used", source);
            let mut read = Cmd::new();
            read.arg("EVAL").arg(USED).arg(1).arg(key_of(&value));
            let used = self.connection.ask(&read).await.map_err(|error| failed(error.into()))?;
            u64::from_redis_value(used).map_err(|error| failed(error.into()))
        })
    }

    /// Removes nothing, because the key of a value expires with its last reservation.
    fn remove_ended(&self, _limit: u32) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(std::future::ready(Ok(false)))
    }
}
