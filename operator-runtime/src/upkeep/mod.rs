//! Background tasks of the store, which run until the pipeline is drained or dropped.

pub(crate) mod counting;
pub(crate) mod sweeping;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::pipeline::Pipeline;

/// Repeats `work` until the task is aborted, or the pipeline is drained or dropped. `work` returns the pause before its
/// next run.
fn repeat_while_held<F>(pipeline: &Arc<Pipeline>, work: fn(Arc<Pipeline>) -> F) -> JoinHandle<()>
where
    F: Future<Output = Duration> + Send + 'static,
{
    let pipeline = Arc::downgrade(pipeline);
    tokio::spawn(async move {
        while let Some(held) = pipeline.upgrade().filter(|held| !held.is_draining()) {
            let pause = work(held).await;
            tokio::time::sleep(pause).await;
        }
    })
}
