//! Measures what a call costs compared with a bare axum handler: `cargo bench -p operator-runtime`.
//!
//! Everything runs in one process, without sockets. Each round measures every variant, so that a change of the
//! machine's speed affects all variants alike. The results are medians over the rounds. Requests are made and signed
//! before the clock starts.
//!
//! "ours" is this crate, called through `App::service` as `serve` calls it; one row instead mounts it in an axum
//! router, like the bare handler. The two rows "floor" do only what every design must do: the same hashes over the same
//! bytes, with prepared keys, the handler, and a map behind a lock, without a router. The difference is the cost of
//! this crate.

#![allow(
    clippy::unwrap_used,
    reason = "if the set-up fails, the benchmark cannot measure anything"
)]
#![allow(
    missing_docs,
    clippy::cast_precision_loss,
    reason = "no other crate uses these items, and the counts are small"
)]

mod floor;
mod requests;
mod rivals;

use std::convert::Infallible;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use axum::extract::Request;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use operator_runtime::{App, Config, operator_api};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tower::{Service, ServiceExt as _};

use requests::{SECRET, URL, signed_get, signed_post};

/// The path of the recorded endpoint. The floor uses the same path, so that it hashes the same bytes.
const RECORDED: &str = "/recorded";
const ROUNDS: usize = 400;
const CALLS: usize = 64;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Order {
    order_id: u64,
    amount_cents: u32,
    email: String,
    reason: String,
}

#[derive(Serialize, JsonSchema)]
struct Found {
    email: String,
    status: String,
    limit: u32,
    after: u64,
    exact: bool,
}

/// Echoes an order and keeps a record.
#[operator_api(POST, "/recorded", effect = rerunnable)]
async fn recorded(
    /// The number on the receipt.
    order_id: u64,
    /// In cents.
    amount_cents: u32,
    /// The customer's address.
    email: String,
    /// In one sentence.
    reason: String,
) -> Order {
    Order {
        order_id,
        amount_cents,
        email,
        reason,
    }
}

/// Echoes an order and keeps nothing.
#[operator_api(POST, "/read", read_only)]
async fn read(
    /// The number on the receipt.
    order_id: u64,
    /// In cents.
    amount_cents: u32,
    /// The customer's address.
    email: String,
    /// In one sentence.
    reason: String,
) -> Order {
    Order {
        order_id,
        amount_cents,
        email,
        reason,
    }
}

/// Echoes five parameters.
#[operator_api(GET, "/search")]
async fn search(
    /// The customer's address.
    email: String,
    /// What it waits for.
    status: String,
    /// How many.
    limit: u32,
    /// From which order on.
    after: u64,
    /// Whether to match whole words.
    exact: bool,
) -> Found {
    Found {
        email,
        status,
        limit,
        after,
        exact,
    }
}

/// One service that is measured, and a function that makes its requests.
struct Variant {
    name: &'static str,
    /// The index of the variant that this one is compared with.
    against: usize,
    make: Box<dyn Fn(u64) -> Request>,
    call_all: Caller,
}

/// Sends requests to a service, one after another.
type Caller = Box<dyn Fn(&Runtime, Vec<Request>)>;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let variants = runtime.block_on(variants());
    // For a profiler, an argument runs one variant only: `cargo bench -p operator-runtime -- "ours, recorded, replay"`.
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if let Some(variant) = variants
        .iter()
        .find(|variant| only.as_deref().is_some_and(|only| variant.name.contains(only)))
    {
        return alone(&runtime, variant);
    }
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); variants.len()];
    let mut number = 0;
    for round in 0..ROUNDS + 20 {
        for (index, variant) in variants.iter().enumerate() {
            let requests: Vec<Request> = (0..CALLS as u64).map(|call| (variant.make)(number + call)).collect();
            number += CALLS as u64;
            let started = Instant::now();
            (variant.call_all)(&runtime, requests);
            let took = started.elapsed();
            // The first rounds warm caches and branch predictors.
            if round >= 20 {
                times[index].push(took);
            }
        }
    }
    println!("{:44} {:>9} {:>7} {:>12}", "", "µs a call", "ratio", "allocations");
    for (index, variant) in variants.iter().enumerate() {
        let base = &times[variant.against];
        let ratio = median(
            times[index]
                .iter()
                .zip(base)
                .map(|(own, base)| own.as_secs_f64() / base.as_secs_f64()),
        );
        let each = median(times[index].iter().map(Duration::as_secs_f64)) * 1e6 / CALLS as f64;
        let allocations = allocations(&runtime, variant, &mut number);
        println!("{:44} {each:9.2} {ratio:7.2} {allocations:12.1}", variant.name);
    }
    println!("A floor does only what every design must do: the hashes with prepared keys, the handler, and a map.");
}

fn alone(runtime: &Runtime, variant: &Variant) {
    for round in 0..(4 * ROUNDS as u64) {
        let requests = (0..CALLS as u64)
            .map(|call| (variant.make)(round * CALLS as u64 + call))
            .collect();
        (variant.call_all)(runtime, requests);
    }
}

fn caller<S, A>(service: S) -> Caller
where
    S: Service<Request, Response = Response<A>, Error = Infallible> + Clone + 'static,
    A: http_body::Body<Data = Bytes, Error: Debug>,
{
    Box::new(move |runtime, requests| {
        runtime.block_on(async {
            for request in requests {
                let Ok(response) = service.clone().oneshot(request).await;
                assert_eq!(response.status(), StatusCode::OK);
                std::hint::black_box(response.into_body().collect().await.unwrap().to_bytes());
            }
        });
    })
}

fn allocations(runtime: &Runtime, variant: &Variant, number: &mut u64) -> f64 {
    let requests: Vec<Request> = (0..CALLS as u64).map(|call| (variant.make)(*number + call)).collect();
    *number += CALLS as u64;
    let counted = allocation_counter::measure(|| (variant.call_all)(runtime, requests));
    counted.count_total as f64 / CALLS as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn variants() -> Vec<Variant> {
    let config = Config::new().signing_key(SECRET).public_url(URL).store("memory:");
    let ours = App::new().config(config.clone()).service().await.unwrap();
    let mounted = App::new().config(config).router().await.unwrap();
    let bare = rivals::bare();
    let floor = floor::floor();
    let plain = |path: &'static str| move |number: u64| signed_post(path, &format!("{number:032x}"));
    vec![
        Variant {
            name: "POST, bare axum JSON handler",
            against: 0,
            make: Box::new(plain("/bare")),
            call_all: caller(bare.clone()),
        },
        Variant {
            name: "POST, with a signature check by hand",
            against: 0,
            make: Box::new(plain("/bare")),
            call_all: caller(rivals::checked()),
        },
        Variant {
            name: "POST, with that and a cache of answers",
            against: 0,
            make: Box::new(plain("/bare")),
            call_all: caller(rivals::idempotent()),
        },
        Variant {
            name: "POST, floor: hashes and a map, first call",
            against: 0,
            make: Box::new(plain(RECORDED)),
            call_all: caller(floor.clone()),
        },
        Variant {
            name: "POST, floor: hashes and a map, replay",
            against: 0,
            make: Box::new(|_| signed_post(RECORDED, "replayed")),
            call_all: caller(floor),
        },
        Variant {
            name: "POST, ours, read only",
            against: 0,
            make: Box::new(plain("/read")),
            call_all: caller(ours.clone()),
        },
        Variant {
            name: "POST, ours, recorded, first call",
            against: 0,
            make: Box::new(plain(RECORDED)),
            call_all: caller(ours.clone()),
        },
        Variant {
            name: "POST, ours, recorded, replay",
            against: 0,
            make: Box::new(|_| signed_post(RECORDED, "replayed")),
            call_all: caller(ours.clone()),
        },
        Variant {
            name: "GET, axum Query of five parameters",
            against: 8,
            make: Box::new(signed_get),
            call_all: caller(bare),
        },
        Variant {
            name: "GET, ours, five parameters",
            against: 8,
            make: Box::new(signed_get),
            call_all: caller(ours),
        },
        Variant {
            name: "POST, ours, mounted, recorded, first call",
            against: 0,
            make: Box::new(plain(RECORDED)),
            call_all: caller(mounted),
        },
    ]
}
