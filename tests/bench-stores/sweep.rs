//! SQLite with many records: the size of the file, and how long a call is held up while expired records are swept.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use operator_runtime::store::{SqliteStore, Store};

use super::filled;
use super::workers::{Kind, Own, Worker as _, completed_with};

const CALLERS: usize = 32;
/// The bytes of the filled records' answers. The records then have about 400 bytes.
const ANSWER: usize = 250;
/// As `serve` sweeps: so many records at once, and then a pause that is as long as the sweep.
pub(crate) const AT_ONCE: u32 = 500;
/// The filled records are older than this, those of the callers are not.
const EXPIRED: Duration = Duration::from_secs(10 * 60);

/// Prints the size of the file, and how long operations take before and during the sweep of all filled records.
pub(crate) async fn measure(path: &Path, records: u32) {
    SqliteStore::open(path).unwrap().close().await;
    let filling = Instant::now();
    filled::sqlite(path, records, &completed_with(vec![b'a'; ANSWER].into()));
    println!("{records} records were filled in by SQL in {:.0?}", filling.elapsed());
    let file = std::fs::metadata(path).unwrap().len() as f64;
    let bytes = filled::bytes_in_sqlite(path) as f64;
    println!(
        "the file: {:.0} MB, {:.2} × its records' bytes",
        file / 1e6,
        file / bytes
    );
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path).unwrap());
    // As long as the sweep will take, about.
    let (before, ()) = during(&store, tokio::time::sleep(Duration::from_secs(15))).await;
    show("without a sweep", before);
    let (meanwhile, (swept, took)) = during(&store, until_none_is_older(&store, EXPIRED)).await;
    show(&format!("while {swept} records were swept in {took:.0?}"), meanwhile);
    store.close().await;
}

/// Removes all records that are older, and returns how many they were and how long it took.
pub(crate) async fn until_none_is_older(store: &Arc<dyn Store>, than: Duration) -> (u32, Duration) {
    let begun = Instant::now();
    let mut swept = 0;
    loop {
        let sweeping = Instant::now();
        let removed = store.sweep(than, AT_ONCE).await.unwrap();
        swept += removed;
        if removed < AT_ONCE {
            return (swept, begun.elapsed());
        }
        tokio::time::sleep(sweeping.elapsed()).await;
    }
}

/// Carries out operations while `work` runs, and returns how long each took.
async fn during<T>(store: &Arc<dyn Store>, work: impl Future<Output = T>) -> (Vec<Duration>, T) {
    let ended = Arc::new(AtomicBool::new(false));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let (ended, mut own) = (
            ended.clone(),
            Own {
                store: store.clone(),
                kind: Kind::Elsewhere,
            },
        );
        callers.spawn(async move {
            let mut times = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let begun = Instant::now();
                own.once().await;
                times.push(begun.elapsed());
            }
            times
        });
    }
    let result = work.await;
    ended.store(true, Ordering::Relaxed);
    (callers.join_all().await.concat(), result)
}

/// An operation is two calls of the store, so a call was held up at most as long as the longest operation.
fn show(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |thousandths: usize| times[(times.len() - 1) * thousandths / 1000].as_secs_f64() * 1e3;
    println!(
        "{what}: {} operations, p50 {:.1}, p99 {:.1}, p99.9 {:.1}, longest {:.1} ms",
        times.len(),
        at(500),
        at(990),
        at(999),
        at(1000)
    );
}
