//! Processors, processor time and file descriptors of Linux.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Moves this process to one of the machine's processors, if there are several: 0 for a server, 1 for the callers.
pub(crate) fn use_core(index: usize) {
    let allowed = sched_getaffinity(None).unwrap();
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    if allowed.count() < 2 {
        return;
    }
    let mut one = CpuSet::new();
    one.set(cores.nth(index).unwrap());
    sched_setaffinity(None, &one).unwrap();
}

/// The number of processors that this process may use.
pub(crate) fn cores() -> u32 {
    sched_getaffinity(None).unwrap().count()
}

/// Raises the limit of file descriptors as far as allowed, and returns it.
pub(crate) fn raise_descriptors() -> u64 {
    let most = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: most,
        maximum: most,
    };
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The processor time that all threads of a process have used so far: the first number in `schedstat` is nanoseconds on
/// the processor.
pub(crate) fn processor(process: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let nanoseconds = threads.map(|thread| {
        // A thread may have ended meanwhile.
        let stat = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
        stat.split(' ')
            .next()
            .and_then(|first| first.parse::<u64>().ok())
            .unwrap_or(0)
    });
    Duration::from_nanos(nanoseconds.sum())
}
