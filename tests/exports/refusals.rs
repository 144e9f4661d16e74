//! Measures what refusals cost: `cargo run --release -p tests --example refusals`.
//!
//! Prints the time and memory of the most expensive known requests, together with valid requests for comparison. Then
//! prints how long another caller waits while a server refuses 64 of those requests at once.

#![allow(clippy::unwrap_used, reason = "a failed unwrap ends the measurement")]

#[path = "../../examples/support-desk/src/database.rs"]
mod database;
#[path = "../../examples/support-desk/src/notifications.rs"]
mod notifications;
#[allow(dead_code, reason = "the open orders are for the example's handler of events")]
#[path = "../../examples/support-desk/src/orders.rs"]
mod orders;
#[path = "zoo/recursive.rs"]
mod recursive;
#[path = "../../examples/support-desk/src/refunds.rs"]
mod refunds;
#[path = "zoo/serde_forms.rs"]
mod serde_forms;
#[path = "zoo/shapes.rs"]
mod shapes;
#[path = "../../examples/support-desk/src/tickets.rs"]
mod tickets;
#[allow(dead_code, reason = "the tests use the rest")]
mod worst;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use operator_runtime::App;
use operator_runtime::http::StatusCode;
use operator_runtime::store::SqliteStore;
use operator_runtime::testing::Client;
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use tests::caller;
use tests::process::Server;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// The number of callers that send wrong requests at the same time.
const AT_ONCE: usize = 64;
/// How many calls the other caller makes.
const CALLS: usize = 200;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    // With a command such as `serve` or `manifest`, this is the program that is measured.
    if env::args().nth(1).is_some() {
        return runtime.block_on(app().run());
    }
    runtime.block_on(alone());
    beside_others();
    ExitCode::SUCCESS
}

fn app() -> App {
    App::new()
        .state(notifications::Outbox::from_env())
        .sqlite_setup(database::set_up)
}

/// Measures each request on its own. The fastest of five runs counts.
async fn alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("refusals.db")).unwrap();
    let client = Client::new(app().store(store)).await.unwrap();
    println!(
        "{:<32} {:>9} {:>9} {:>10} {:>7}",
        "request", "bytes", "ms", "MiB", "status"
    );
    for (what, endpoint, inputs) in requests() {
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        let mut quickest = Duration::MAX;
        let mut status = StatusCode::OK;
        for _ in 0..5 {
            let begun = Instant::now();
            status = client.call(endpoint, &inputs).await.status;
            quickest = quickest.min(begun.elapsed());
        }
        let mebibytes = ALLOCATED.peak_usage().saturating_sub(before) as f64 / f64::from(1 << 20);
        let length = inputs.to_string().len();
        let milliseconds = quickest.as_secs_f64() * 1e3;
        println!(
            "{what:<32} {length:>9} {milliseconds:>9.2} {mebibytes:>10.2} {:>7}",
            status.as_u16()
        );
    }
}

fn requests() -> Vec<(&'static str, &'static str, Value)> {
    let mut requests: Vec<_> = worst::requests()
        .into_iter()
        .map(|request| (request.what, request.endpoint, request.inputs))
        .collect();
    let right = json!({ "value": worst::nested("sum", 9, worst::leaf("sum")) });
    requests.push(("right: a tag inside, at depth 9", "sum", right));
    let contacts = vec![json!({ "name": "Ana" }); 10];
    requests.push(("right: ten contacts", "many", json!({ "contacts": contacts })));
    requests
}

/// Measures the GETs of another caller while wrong requests are refused.
fn beside_others() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_on(&env::current_exe().unwrap(), folder.path(), "sqlite:refusals.db");
    let quiet = median_of_calls(server.port);
    println!(
        "\na GET while nothing else runs: {:.2} ms at the median",
        quiet.as_secs_f64() * 1e3
    );
    for (what, endpoint, inputs) in requests().into_iter().filter(|(what, ..)| !what.starts_with("right")) {
        let body = inputs.to_string();
        let (stop, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
        let median = thread::scope(|scope| {
            for caller in 0..AT_ONCE {
                let (endpoint, body, stop, refused, port) = (&endpoint, &body, &stop, &refused, server.port);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let key = format!("{caller}-{}", refused.load(Ordering::Relaxed));
                        let path = match *endpoint {
                            "open_ticket" => "/tickets".to_owned(),
                            endpoint => format!("/zoo/{endpoint}"),
                        };
                        let answer = caller::post(port, &path, &key, body);
                        refused.fetch_add(
                            usize::from(answer.is_ok_and(|answer| answer.status == 400)),
                            Ordering::Relaxed,
                        );
                    }
                });
            }
            // The calls begin once `AT_ONCE` requests have been refused, so that the server is under load.
            while refused.load(Ordering::Relaxed) < AT_ONCE {
                thread::sleep(Duration::from_millis(1));
            }
            let median = median_of_calls(server.port);
            stop.store(true, Ordering::Relaxed);
            median
        });
        let (milliseconds, refused) = (median.as_secs_f64() * 1e3, refused.into_inner());
        println!("a GET beside {AT_ONCE} of \"{what}\": {milliseconds:.2} ms at the median, {refused} refused");
    }
}

fn median_of_calls(port: u16) -> Duration {
    let parameters = [("flag", "true"), ("letter", "a"), ("least_five", "9")];
    let mut times: Vec<Duration> = (0..CALLS)
        .map(|index| {
            let begun = Instant::now();
            let answer = caller::get(port, "/zoo/parameters", &format!("get-{index}"), &parameters);
            assert!(answer.is_ok(), "{answer:?}");
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[CALLS / 2]
}
