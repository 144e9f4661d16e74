//! A wrong request costs no more memory than a right one. This is tested for every type of the zoo and of the examples.
//! Times are not tested; `cargo run --release -p tests --example refusals` prints them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[path = "zoo/corners.rs"]
mod corners;
#[path = "../../examples/support-desk/src/database.rs"]
mod database;
#[path = "zoo/dates.rs"]
mod dates;
mod measured;
#[path = "../../examples/support-desk/src/notifications.rs"]
mod notifications;
#[allow(dead_code, reason = "the open orders are for the example's handler of events")]
#[path = "../../examples/support-desk/src/orders.rs"]
mod orders;
/// The example's state is set here, because its type is private.
#[allow(dead_code, reason = "the example's `main` is not called")]
mod quickstart {
    include!(concat!(env!("OUT_DIR"), "/quickstart.rs"));

    pub(super) fn with_shelf(app: App) -> App {
        app.state(Shelf(Mutex::new(HashMap::from([("teapot".to_owned(), 7)]))))
    }
}
#[path = "zoo/names.rs"]
mod names;
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

use measured::{Caller, endpoints, runner};
use operator_runtime::App;
use operator_runtime::store::SqliteStore;
use serde_json::json;
use tests::process;

/// The only test in this file, because the memory of all threads is counted.
#[test]
fn refusals_take_memory_in_proportion_to_the_body_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("costs.db")).unwrap();
    let app = App::new()
        .state(notifications::Outbox::from_env())
        .store(store)
        .sqlite_setup(database::set_up);
    let caller = Caller::new(quickstart::with_shelf(app));
    worst_requests(&caller);
    let mut all = endpoints(&process::build_example("tests", "zoo"));
    // Only this program has the recursive types.
    let recursive = endpoints(&process::build_example("tests", "refusals")).into_iter();
    let is_known = |name: &str| all.iter().any(|endpoint| endpoint["name"] == name);
    let only_here: Vec<_> = recursive
        .filter(|endpoint| {
            let name = endpoint["name"].as_str().unwrap();
            !is_known(name)
                && worst::RECURSIVE
                    .iter()
                    .any(|recursive| worst::endpoint_of(recursive) == name)
        })
        .collect();
    assert_eq!(only_here.len(), 11);
    all.extend(only_here);
    for example in ["support-desk", "quickstart"] {
        all.extend(endpoints(&process::build(example, "dev")));
    }
    assert!(all.len() > 33, "{}", all.len());
    caller.call_nearly_right(&all);
}

fn worst_requests(caller: &Caller) {
    for request in worst::requests() {
        let answer = caller.call(request.endpoint, &request.inputs);
        assert_eq!(answer.status, 400, "{}: {}", request.what, answer.body);
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(request.told), "{}: {detail}", request.what);
        assert!(detail.len() < 8_000, "{}: {}", request.what, detail.len());
    }
    // One runner for all, so that each depth is spoiled at other places.
    let mut runner = runner(0);
    for name in worst::RECURSIVE {
        let endpoint = worst::endpoint_of(name);
        for depth in 1..127 {
            let inputs = |innermost| worst::inputs_of(name, &worst::nested(name, depth, innermost));
            let right = inputs(worst::leaf(name));
            let wrong = caller.call(endpoint, &inputs(json!("wrong"))).status;
            assert_eq!(wrong, 400, "{name} {depth}");
            for _ in 0..3 {
                caller.call_spoiled(&mut runner, endpoint, &right);
            }
            // Of the forms that look alike, serde might try each again at each level.
            let deepest = if matches!(*name, "alike" | "picky") { 5 } else { 50 };
            let status = caller.call(endpoint, &right).status;
            assert!(status == 200 || depth > deepest, "{name} {depth}: {status}");
        }
    }
}
