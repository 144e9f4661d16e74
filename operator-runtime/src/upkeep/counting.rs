//! A background task that counts the store's records for the gauge.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::repeat_while_held;
use crate::clock::timer_now;
use crate::pipeline::Pipeline;

/// The pause between two counts. If a count takes long, the pause is 100 times as long as the count, so that counting
/// takes at most about 1 % of the time.
const EVERY: Duration = Duration::from_secs(60);
const AT_MOST_A_HUNDREDTH: u32 = 100;

/// Counts until the task is aborted or the pipeline is dropped.
pub(crate) fn count_while_held(pipeline: &Arc<Pipeline>) -> JoinHandle<()> {
    repeat_while_held(pipeline, count)
}

/// Counts once and returns the pause before the next count.
async fn count(pipeline: Arc<Pipeline>) -> Duration {
    let started = timer_now();
    let counted = pipeline.count_records().await;
    let pause = EVERY.max(started.elapsed() * AT_MOST_A_HUNDREDTH);
    if let Err(error) = counted
        && !pipeline.is_draining()
    {
        let seconds = pause.as_secs();
        tracing::warn!(%error, "the store's records could not be counted; the next attempt is in {seconds} s");
    }
    pause
}
