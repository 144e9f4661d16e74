//! The limit on what one execution may cost.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The most bytes that one execution may allocate, counting those it frees again, and the bytes more for each byte of input.
const BYTES: u64 = 16 * 1024 * 1024;
const BYTES_EACH: u64 = 32;
/// The most processor time that one execution may take, and the time more for each byte of input.
const TIME: Duration = Duration::from_millis(20);
const TIME_EACH: Duration = Duration::from_nanos(250);

/// The processor time of the yardstick on the machine for which the limits of time were chosen.
const YARDSTICK: Duration = Duration::from_millis(16);

/// Runs one execution, on so many bytes of `input`. Panics, which libFuzzer takes for a finding, if the execution costs
/// more than it may.
///
/// # Panics
/// Above 16 MiB allocated, or above 20 ms of processor time in each of four runs. On a machine that is slower at the
/// moment, the limit of time is longer by the factor by which a yardstick takes longer.
pub fn within_limits(input: usize, mut run: impl FnMut()) {
    let most_bytes = BYTES + BYTES_EACH * input as u64;
    let most_time = TIME + TIME_EACH * u32::try_from(input).unwrap_or(u32::MAX);
    let mut time = Duration::MAX;
    // One run may meet a cold cache or a busy neighbour.
    for _ in 0..4 {
        let mut allocated = None;
        time = time.min(processor_time(|| {
            allocated = Some(allocation_counter::measure(&mut run));
        }));
        let Some(allocated) = allocated else { continue };
        let (bytes, at_once) = (allocated.bytes_total, allocated.bytes_max);
        assert!(
            bytes <= most_bytes,
            "{input} bytes of input made it allocate {bytes} bytes, {at_once} of them at once; at most {most_bytes} are allowed"
        );
        if time <= most_time {
            return;
        }
    }
    let most_time = most_time.mul_f64(slowness());
    assert!(
        time <= most_time,
        "{input} bytes of input took {time:?} of processor time; at most {most_time:?} are allowed"
    );
}

/// How many times longer the yardstick takes now: parsing a JSON text of 256 KiB. At least 1.
fn slowness() -> f64 {
    let text = format!("[{}0]", r#"{"name":1.5},"#.repeat(20_000));
    let parse = || drop(std::hint::black_box(serde_json::from_str::<serde_json::Value>(&text)));
    let shortest = (0..4).map(|_| processor_time(parse)).min().unwrap_or_default();
    (shortest.as_secs_f64() / YARDSTICK.as_secs_f64()).max(1.0)
}

/// The processor time that this thread takes for this.
fn processor_time(run: impl FnOnce()) -> Duration {
    let clock = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let start = clock();
    run();
    clock().saturating_sub(start)
}
