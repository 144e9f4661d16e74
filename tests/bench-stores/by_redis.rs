//! The store's script, sent to Redis directly by the driver over one connection. At any time, one command of each
//! caller is in flight.

use operator_runtime::store::BoxFuture;
use redis::aio::MultiplexedConnection;

use super::workers::{Worker, completed, id_unlike_any_other, in_progress};

/// The commands that the store's script runs if there is no conflict.
const SCRIPT: &str = "\
local held = redis.call('GET', KEYS[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if (held and string.sub(held, 1, 8) or '') ~= ARGV[1] then
  return 0
end
local first_seen = held and struct.unpack('>I8', held, 17) or now
redis.call('SET', KEYS[1], ARGV[2] .. struct.pack('>I8I8', now, first_seen) .. ARGV[3], 'PX', ARGV[4])
return 1
";

#[derive(Clone)]
pub(crate) struct InRedis {
    connection: MultiplexedConnection,
    script: String,
}

impl InRedis {
    pub(crate) async fn connect(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(SCRIPT);
        let script = load.query_async(&mut connection).await.unwrap();
        Self { connection, script }
    }

    pub(crate) async fn carry_out(&self) {
        let key = [b"bare:".as_slice(), &id_unlike_any_other()].concat();
        for (expected, revision, record) in [("", "claimed.", in_progress()), ("claimed.", "complete", completed())] {
            let mut swap = redis::cmd("EVALSHA");
            swap.arg(&self.script).arg(1).arg(&key);
            swap.arg(expected).arg(revision).arg(record.encode()).arg(3_600_000);
            let written: u32 = swap.query_async(&mut self.connection.clone()).await.unwrap();
            assert_eq!(written, 1);
        }
    }
}

impl Worker for InRedis {
    fn once(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.carry_out())
    }
}
