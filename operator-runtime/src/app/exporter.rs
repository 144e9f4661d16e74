//! Serves the metrics to Prometheus, in its text format, on a separate port.

use std::future::ready;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Given, Limits, SettingName, StartProblem, side_port};
use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The media type of the Prometheus text format 0.0.4.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The upper bounds of the histograms in seconds, from a store operation on a fast disk to a call that times out.
const BUCKETS: [f64; 15] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0,
];
/// How often the recorder sorts measured times into the buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// Answers `GET /metrics` until this value is dropped. Dropping it closes the channel, which stops the task.
pub(crate) struct Exporter {
    _open: oneshot::Sender<()>,
}

impl Exporter {
    /// Listens, and records this process's metrics from now on.
    ///
    /// # Errors
    /// If the address is in use, or if the program has installed another metrics recorder.
    pub(crate) async fn open(address: Given<SocketAddr>, limits: Limits) -> Result<Self, StartProblem> {
        let Given {
            value: address,
            setting,
        } = address;
        let listener = TcpListener::bind(address).await;
        let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (bound, listener) = bound.map_err(|error| {
            let sentence = format!("The server cannot listen on {address} for Prometheus: {error}. Set {setting} to a free address of this machine.");
            StartProblem::of(setting, sentence).caused_by(error)
        })?;
        let recorder = recorder(setting)?;
        tracing::info!(metrics = %bound, "metrics for Prometheus are at http://{bound}/metrics");
        let (open, dropped) = oneshot::channel();
        tokio::spawn(serve(listener, recorder, limits, dropped));
        Ok(Self { _open: open })
    }
}

/// The metrics recorder of this process. A process can have only one.
fn recorder(setting: SettingName) -> Result<PrometheusHandle, StartProblem> {
    static OURS: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*ours {
        return Ok(handle.clone());
    }
    let builder = PrometheusBuilder::new().set_buckets(&BUCKETS);
    let recorder = builder
        .map_err(|error| {
            StartProblem::of(setting, format!("The metrics cannot be recorded: {error}.")).caused_by(error)
        })?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| {
        let sentence = format!("{setting} is set, but the program has already installed its own `metrics` recorder: leave {setting} unset, and export the metrics with that recorder.");
        StartProblem::of(setting, sentence)
    })?;
    *ours = Some(handle.clone());
    Ok(handle)
}

async fn serve(listener: TcpListener, recorder: PrometheusHandle, limits: Limits, dropped: oneshot::Receiver<()>) {
    let rendering = recorder.clone();
    let scrape = get(move || ready(([(CONTENT_TYPE, TEXT)], rendering.render())));
    let router = Router::new().route("/metrics", scrape);
    let end = async {
        let _ = dropped.await;
    };
    tokio::select! {
        () = side_port::serve(listener, router, limits, end) => {}
        () = keep_up(recorder) => {}
    }
}

async fn keep_up(recorder: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        recorder.run_upkeep();
    }
}
