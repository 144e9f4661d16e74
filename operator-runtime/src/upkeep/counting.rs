//! Counting the records of the store for the gauge, beside the calls, for as long as there can be any.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::clock::timer_now;
use crate::pipeline::Pipeline;

/// How often, unless it takes so long that it would be at it for more than a hundredth of the time.
const EVERY: Duration = Duration::from_secs(60);
const AT_MOST_A_HUNDREDTH: u32 = 100;

/// Counts until it is aborted or nothing else holds the pipeline.
pub(crate) fn count_while_held(pipeline: &Arc<Pipeline>) -> JoinHandle<()> {
    let pipeline = Arc::downgrade(pipeline);
    tokio::spawn(async move {
        while let Some(pause) = count(&pipeline).await {
            tokio::time::sleep(pause).await;
        }
    })
}

/// Counts once, and says when to do so again; never, where the pipeline is gone.
async fn count(pipeline: &Weak<Pipeline>) -> Option<Duration> {
    let started = timer_now();
    if let Err(error) = pipeline.upgrade()?.count_records().await {
        tracing::warn!(%error, "the store's records could not be counted; tried again in a minute");
    }
    Some(EVERY.max(started.elapsed() * AT_MOST_A_HUNDREDTH))
}
