//! The memory that a record takes on Redis and in this process, and how long a call takes while a table grows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use operator_runtime::clock::SystemClock;
use operator_runtime::store::{self, MemoryStore, OperationId, Store};
use rustix::time::{ClockId, clock_gettime};
use tests::services;

use super::workers::{claim, claim_and_complete, completed_of, completion, swapped, unlike_any_other};

/// The records in this process's memory. Redis gets a million at most.
pub(crate) const RECORDS: u32 = 10_000_000;
/// The bytes of a record: its id, its revision, its two times and its own bytes.
const SIZES: [usize; 2] = [300, 400];
const CALLERS: u32 = 32;
const THREADS: u32 = 2;

/// Prints the bytes per record of Redis, and of the store in memory.
pub(crate) async fn measure(records: u32) {
    for size in SIZES {
        on_redis(records.min(1_000_000), size).await;
    }
    in_memory(records, SIZES[0]);
}

fn show(what: &str, records: u32, size: usize, bytes: f64) {
    let each = bytes / f64::from(records);
    println!(
        "{what}: {records} records of {size} bytes take {each:.0} bytes each, {:.2} × their bytes",
        each / size as f64
    );
}

async fn on_redis(records: u32, size: usize) {
    let server = services::Redis::start(&[]);
    let store: Arc<dyn Store> = store::open(&server.url()).await.unwrap();
    let before = used(&server.url()).await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let store = store.clone();
        callers.spawn(async move {
            for _ in 0..records / CALLERS {
                let id = OperationId::new("room", &unlike_any_other());
                claim_and_complete(&*store, id, completed_of(size)).await;
            }
        });
    }
    callers.join_all().await;
    show(
        "redis",
        records / CALLERS * CALLERS,
        size,
        used(&server.url()).await - before,
    );
}

/// The bytes that the server has allocated.
async fn used(url: &str) -> f64 {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut info = redis::cmd("INFO");
    let said: String = info.arg("memory").query_async(&mut connection).await.unwrap();
    let line = said.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.unwrap().trim().parse().unwrap()
}

/// The times of one thread's calls. Processor time does not count while another program has the processor, so that it
/// shows the store's own pauses. A call that waits for another one's lock is not in it, but that other call is.
#[derive(Debug, Default, Clone, Copy)]
struct Longest {
    processor: Duration,
    clock: Duration,
}

fn in_memory(records: u32, size: usize) {
    let before = resident();
    let store = Arc::new(MemoryStore::with(usize::MAX, Arc::new(SystemClock::new())));
    let filling = [(); THREADS as usize].map(|()| {
        let store = store.clone();
        std::thread::spawn(move || fill(&*store, records / THREADS, size))
    });
    let longest = filling.map(|thread| thread.join().unwrap());
    show("memory", records / THREADS * THREADS, size, resident() - before);
    let most = |of: fn(&Longest) -> Duration| longest.iter().map(of).max().unwrap_or_default();
    println!(
        "the longest call while its tables grew: {:.2?} of processor time, {:.2?} by the clock",
        most(|longest| longest.processor),
        most(|longest| longest.clock)
    );
}

fn fill(store: &dyn Store, records: u32, size: usize) -> Longest {
    let mut longest = Longest::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for _ in 0..records {
            let id = OperationId::new("room", &unlike_any_other());
            let claim = claim(id);
            let (started, used) = (Instant::now(), processor());
            let expected = swapped(store.swap(claim)).await;
            longest.processor = longest.processor.max(processor() - used);
            longest.clock = longest.clock.max(started.elapsed());
            swapped(store.swap(completion(id, expected, completed_of(size)))).await;
        }
    });
    longest
}

/// The processor time of this thread.
fn processor() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

/// The bytes of memory that this process has (proc(5): the second field of `statm`, in pages of 4 KiB).
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096.0
}
