//! A background task that counts the store's records for the gauge.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::clock::timer_now;
use crate::pipeline::Pipeline;

/// The pause between two counts; longer if a count takes long, so that counting takes at most a hundredth of the time.
const EVERY: Duration = Duration::from_secs(60);
const AT_MOST_A_HUNDREDTH: u32 = 100;

/// Counts until the task is aborted or the pipeline is dropped.
pub(crate) fn count_while_held(pipeline: &Arc<Pipeline>) -> JoinHandle<()> {
    let pipeline = Arc::downgrade(pipeline);
    tokio::spawn(async move {
        while let Some(pause) = count(&pipeline).await {
            tokio::time::sleep(pause).await;
        }
    })
}

/// Counts once and returns the pause before the next count; `None` if the pipeline has been dropped.
async fn count(pipeline: &Weak<Pipeline>) -> Option<Duration> {
    let started = timer_now();
    if let Err(error) = pipeline.upgrade()?.count_records().await {
        tracing::warn!(%error, "the store's records could not be counted; the next attempt is in a minute");
    }
    Some(EVERY.max(started.elapsed() * AT_MOST_A_HUNDREDTH))
}
