//! Limits what one execution of a fuzz target may cost.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How many bytes one execution may allocate, including bytes that it frees again. The second number is added for each
/// byte of input.
const BYTES: u64 = 16 * 1024 * 1024;
const BYTES_EACH: u64 = 32;
/// How much processor time one execution may take. The second number is added for each byte of input.
const TIME: Duration = Duration::from_millis(20);
const TIME_EACH: Duration = Duration::from_nanos(250);

/// Runs one execution on an input of this many bytes. Panics if the execution costs more than it may; libFuzzer reports
/// a panic as a finding.
///
/// # Panics
/// If one run allocates more than 16 MiB, or if each of four runs takes more than 20 ms, plus the allowance for each
/// byte. Four runs, because one may be slowed by a cold cache or by other processes.
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

/// The processor time that this thread has used so far.
fn clock() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
