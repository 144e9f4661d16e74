//! Removing expired records beside the calls, for as long as there can be any.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::pipeline::Pipeline;

/// How often expired records are looked for, and how soon again while there are more.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const SWEEP_AGAIN: Duration = Duration::from_millis(200);

/// Sweeps, in small batches, until it is aborted or nothing else holds the pipeline.
pub(crate) fn sweep_while_held(pipeline: &Arc<Pipeline>) -> JoinHandle<()> {
    let pipeline = Arc::downgrade(pipeline);
    tokio::spawn(async move {
        while let Some(pause) = sweep(&pipeline).await {
            tokio::time::sleep(pause).await;
        }
    })
}

/// Sweeps once, and says when to do so again; never, where the pipeline is gone.
async fn sweep(pipeline: &Weak<Pipeline>) -> Option<Duration> {
    Some(match pipeline.upgrade()?.sweep().await {
        Ok(0) => SWEEP_EVERY,
        Ok(_) => SWEEP_AGAIN,
        Err(error) => {
            tracing::warn!(%error, "expired operations could not be removed; tried again in a minute");
            SWEEP_EVERY
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{SWEEP_EVERY, sweep_while_held};
    use crate::clock::SystemClock;
    use crate::idempotency::admission::Operations;
    use crate::idempotency::machine::Settings;
    use crate::pipeline::Pipeline;
    use crate::store;

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_last_who_holds_the_pipeline() {
        let store = store::open("memory:").await.unwrap();
        let operations = Operations::new(store, Settings::default());
        let pipeline = Arc::new(Pipeline::new(operations, Arc::new(SystemClock::new()), 1));
        let sweeping = sweep_while_held(&pipeline);
        tokio::time::sleep(SWEEP_EVERY * 3).await;
        assert!(!sweeping.is_finished());
        drop(pipeline);
        sweeping.await.unwrap();
    }
}
