//! A caller that measures how much memory each answer takes. It fails if an answer takes more than allowed.

use std::path::Path;

use operator_runtime::App;
use operator_runtime::testing::{Answer, Client};
use peak_alloc::PeakAlloc;
use proptest::strategy::{Just, Strategy as _, ValueTree as _};
use proptest::test_runner::{Config as Cases, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use tests::process;

use crate::{values, worst};

/// Counts the allocations of all threads, because the inputs of a transactional handler are decoded on the store's
/// writer thread.
#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// How many bytes a refusal may allocate, and how many more for each byte of the body.
const ALLOWED: usize = 32 * 1024 * 1024;
const ALLOWED_FOR_A_BYTE: usize = 32;

pub(crate) struct Caller {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Caller {
    pub(crate) fn new(app: App) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let client = runtime.block_on(Client::new(app)).unwrap();
        Self { runtime, client }
    }

    /// Calls an endpoint, and fails if the answer took more memory than allowed.
    pub(crate) fn call(&self, endpoint: &str, inputs: &Value) -> Answer {
        let length = inputs.to_string().len();
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        let answer = self.runtime.block_on(self.client.call(endpoint, inputs));
        let taken = ALLOCATED.peak_usage().saturating_sub(before);
        // `length` is added once more, because the caller's own copy of the body is measured too.
        let allowed = ALLOWED + ALLOWED_FOR_A_BYTE * length + length;
        assert!(
            taken <= allowed,
            "{endpoint}: {taken} bytes were allocated for a body of {length} bytes, answered with {}",
            answer.status
        );
        answer
    }

    /// Calls an endpoint with these inputs after a random part of them is replaced, removed or added.
    pub(crate) fn call_spoiled(&self, runner: &mut TestRunner, endpoint: &str, inputs: &Value) {
        let spoiled = values::nearly(Just(inputs.clone())).new_tree(runner).unwrap();
        self.call(endpoint, &spoiled.current());
    }

    /// Calls each endpoint with nearly valid values. Some are long or deeply nested.
    pub(crate) fn call_nearly_right(&self, endpoints: &[Value]) {
        for endpoint in endpoints {
            let name = endpoint["name"].as_str().unwrap();
            // Values are made larger only in a body, because search parameters are limited by the size of a request's
            // head.
            let grows = endpoint["method"] == "POST";
            let nearly = values::nearly_of(&endpoint["inputs"]);
            let ran = runner(24).run(&(nearly, 0..3_u8, 1..127_usize), |(value, change, depth)| {
                let value = if grows {
                    worst::grown(value, change, depth)
                } else {
                    value
                };
                self.call(name, &value);
                Ok(())
            });
            ran.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

/// Makes this many values, the same in each run.
pub(crate) fn runner(cases: u32) -> TestRunner {
    let config = Cases {
        cases,
        failure_persistence: None,
        ..Cases::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Returns the endpoints in a program's manifest.
pub(crate) fn endpoints(program: &Path) -> Vec<Value> {
    let mut manifest: Value = serde_json::from_str(&process::run(program, &["manifest"])).unwrap();
    match manifest["endpoints"].take() {
        Value::Array(endpoints) => endpoints,
        other => panic!("{other}"),
    }
}
