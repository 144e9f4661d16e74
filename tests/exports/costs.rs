//! A wrong request costs no more than a right one: how much memory a refusal takes, for every type of the zoo and of
//! the examples. This test measures no times; `cargo run --release -p tests --example refusals` prints times too.

#![allow(clippy::unwrap_used, reason = "a test: what cannot be unwrapped fails it")]

#[path = "zoo/corners.rs"]
mod corners;
#[path = "../../examples/support-desk/src/database.rs"]
mod database;
#[path = "zoo/dates.rs"]
mod dates;
#[path = "../../examples/support-desk/src/notifications.rs"]
mod notifications;
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
mod values;
mod worst;

use operator_runtime::App;
use operator_runtime::store::SqliteStore;
use operator_runtime::testing::{Answer, Client};
use peak_alloc::PeakAlloc;
use proptest::test_runner::{Config as Cases, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use tests::process;

/// Counts the allocations of all threads, because a transactional handler's inputs are decoded on the writer's thread.
#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// The bytes that a refusal may allocate, and the additional bytes for each byte of the body.
const ALLOWED: usize = 32 * 1024 * 1024;
const ALLOWED_FOR_A_BYTE: usize = 32;

struct Caller {
    runtime: tokio::runtime::Runtime,
    client: Client,
    /// The file of SQLite.
    _folder: tempfile::TempDir,
}

impl Caller {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("costs.db")).unwrap();
        let app = App::new()
            .state(notifications::Outbox::from_env())
            .store(store)
            .sqlite_setup(database::set_up);
        let client = runtime.block_on(Client::new(app)).unwrap();
        Self {
            runtime,
            client,
            _folder: folder,
        }
    }

    /// Sends a call and checks its memory against the bound.
    fn call(&self, endpoint: &str, inputs: &Value) -> Answer {
        let length = inputs.to_string().len();
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        let answer = self.runtime.block_on(self.client.call(endpoint, inputs));
        let taken = ALLOCATED.peak_usage().saturating_sub(before);
        // The caller's own copy of the body does not count as the server's memory.
        let allowed = ALLOWED + ALLOWED_FOR_A_BYTE * length + length;
        assert!(
            taken <= allowed,
            "{endpoint}: {taken} bytes for a body of {length}, answered {}",
            answer.status
        );
        answer
    }
}

/// The programs' descriptions of their endpoints.
fn endpoints() -> Vec<Value> {
    let programs = [
        process::build_example("tests", "zoo"),
        process::build("support-desk", "dev"),
    ];
    let manifest = |program| serde_json::from_str::<Value>(&process::run(program, &["manifest"])).unwrap();
    let endpoints = programs
        .iter()
        .flat_map(|program| match manifest(program)["endpoints"].take() {
            Value::Array(endpoints) => endpoints,
            other => panic!("{other}"),
        });
    endpoints.filter(|endpoint| endpoint["method"] == "POST").collect()
}

/// One test only, because the memory of all threads is counted.
#[test]
fn refusals_take_memory_in_proportion_to_the_body_only() {
    let caller = Caller::new();
    worst_requests(&caller);
    let endpoints = endpoints();
    assert!(endpoints.len() > 20, "{}", endpoints.len());
    for endpoint in &endpoints {
        let name = endpoint["name"].as_str().unwrap();
        let config = Cases {
            cases: 24,
            failure_persistence: None,
            ..Cases::default()
        };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let nearly = values::nearly_of(&endpoint["inputs"]);
        let ran = runner.run(&(nearly, 0..3_u8, 1..127_usize), |(value, change, depth)| {
            caller.call(name, &worst::grown(value, change, depth));
            Ok(())
        });
        ran.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

fn worst_requests(caller: &Caller) {
    for request in worst::requests() {
        let answer = caller.call(request.endpoint, &request.inputs);
        assert_eq!(answer.status, 400, "{}: {}", request.what, answer.body);
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(request.told), "{}: {detail}", request.what);
        assert!(detail.len() < 8_000, "{}: {}", request.what, detail.len());
    }
    for name in worst::RECURSIVE {
        for depth in (1..127).step_by(3) {
            let right = worst::nested(name, depth, worst::leaf(name));
            let wrong = worst::nested(name, depth, json!("wrong"));
            assert_eq!(
                caller.call(name, &json!({ "value": wrong })).status,
                400,
                "{name} {depth}"
            );
            // serde tries each variant of the type again at each level, and that time is not under our control.
            if *name != "alike" {
                let status = caller.call(name, &json!({ "value": right })).status;
                assert!(status == 200 || depth > 50, "{name} {depth}: {status}");
            }
        }
    }
}
