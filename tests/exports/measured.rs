//! A caller that holds what each answer took in memory to the bound.

use std::path::Path;

use operator_runtime::App;
use operator_runtime::testing::{Answer, Client};
use peak_alloc::PeakAlloc;
use proptest::test_runner::{Config as Cases, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use tests::process;

use crate::{values, worst};

/// Counts what every thread has allocated: a transactional handler's inputs are decoded on the writer's thread.
#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// The most bytes that a refusal may take, and the bytes more for each byte of the body.
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

    /// Calls, and holds what the answer took to the bound.
    pub(crate) fn call(&self, endpoint: &str, inputs: &Value) -> Answer {
        let length = inputs.to_string().len();
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        let answer = self.runtime.block_on(self.client.call(endpoint, inputs));
        let taken = ALLOCATED.peak_usage().saturating_sub(before);
        // The caller's own copy of the body is no part of the server's.
        let allowed = ALLOWED + ALLOWED_FOR_A_BYTE * length + length;
        assert!(
            taken <= allowed,
            "{endpoint}: {taken} bytes for a body of {length}, answered {}",
            answer.status
        );
        answer
    }

    /// Calls each endpoint with values that are nearly right, some of them long or deep.
    pub(crate) fn call_nearly_right(&self, endpoints: &[Value]) {
        for endpoint in endpoints {
            let name = endpoint["name"].as_str().unwrap();
            // A URL is as long as a request's head may be, so search parameters do not grow.
            let grows = endpoint["method"] == "POST";
            let config = Cases {
                cases: 24,
                failure_persistence: None,
                ..Cases::default()
            };
            let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
            let nearly = values::nearly_of(&endpoint["inputs"]);
            let ran = runner.run(&(nearly, 0..3_u8, 1..127_usize), |(value, change, depth)| {
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

/// What a program's manifest says of its endpoints.
pub(crate) fn endpoints(program: &Path) -> Vec<Value> {
    let mut manifest: Value = serde_json::from_str(&process::run(program, &["manifest"])).unwrap();
    match manifest["endpoints"].take() {
        Value::Array(endpoints) => endpoints,
        other => panic!("{other}"),
    }
}
