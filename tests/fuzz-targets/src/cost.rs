//! The limit on what one execution may cost.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The most bytes that one execution may allocate, counting those it frees again, and the bytes more for each byte of input.
const BYTES: u64 = 16 * 1024 * 1024;
const BYTES_EACH: u64 = 32;
/// The most processor time that one execution may take, and the time more for each byte of input.
const TIME: Duration = Duration::from_millis(20);
const TIME_EACH: Duration = Duration::from_nanos(250);

/// Runs one execution, on so many bytes of `input`, and panics, which libFuzzer takes for a finding, if the execution cost
/// more than it may.
///
/// # Panics
/// Above 16 MiB allocated, or 20 ms in each of four runs: one run may meet a cold cache or a busy neighbour.
pub fn within_limits(input: usize, mut run: impl FnMut()) {
    let most_bytes = BYTES + BYTES_EACH * input as u64;
    let most_time = TIME + TIME_EACH * u32::try_from(input).unwrap_or(u32::MAX);
    let mut time = Duration::MAX;
    for _ in 0..4 {
        let start = clock();
        let allocated = allocation_counter::measure(&mut run);
        time = time.min(clock().saturating_sub(start));
        let (bytes, at_once) = (allocated.bytes_total, allocated.bytes_max);
        assert!(
            bytes <= most_bytes,
            "{input} bytes of input made it allocate {bytes} bytes, {at_once} of them at once; at most {most_bytes} are allowed"
        );
        if time <= most_time {
            return;
        }
    }
    panic!("{input} bytes of input took {time:?} of processor time; at most {most_time:?} are allowed");
}

/// The processor time that this thread has taken.
fn clock() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
