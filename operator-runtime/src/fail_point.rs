//! Named moments at which a test has the whole process killed; only with `--cfg operator_fail_points`, which the tests set.

/// A moment in the carrying out of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailPoint {
    /// The operation is claimed, and the handler has not begun.
    AfterClaim,
    /// The handler has ended, and its end is not recorded.
    BeforeCommit,
    /// Its end is recorded, and nobody has been told.
    AfterCommit,
    /// The answer is made, and not sent.
    BeforeAnswer,
}

impl FailPoint {
    /// Goes on, or does not.
    #[cfg(operator_fail_points)]
    pub(crate) fn pass(self) {
        armed::pass(self);
    }

    /// Goes on.
    #[cfg(not(operator_fail_points))]
    #[inline(always)]
    pub(crate) fn pass(self) {}
}

#[cfg(operator_fail_points)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    use super::FailPoint;

    /// `NAME:COUNT`, as in `before-commit:7`: the process is killed when the point is passed for the seventh time.
    const VARIABLE: &str = "OPERATOR_FAIL_POINT";

    static ARMED: OnceLock<Option<(FailPoint, AtomicU32)>> = OnceLock::new();

    pub(super) fn pass(point: FailPoint) {
        if let Some((armed, left)) = ARMED.get_or_init(read)
            && *armed == point
            && left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            // What is sent to the own process may arrive a moment later, and this thread must not use that moment.
            let _ = kill_process(getpid(), Signal::KILL);
            loop {
                std::thread::park();
            }
        }
    }

    fn read() -> Option<(FailPoint, AtomicU32)> {
        let text = std::env::var(VARIABLE).ok()?;
        let (name, count) = text.split_once(':')?;
        let point = match name {
            "after-claim" => FailPoint::AfterClaim,
            "before-commit" => FailPoint::BeforeCommit,
            "after-commit" => FailPoint::AfterCommit,
            "before-answer" => FailPoint::BeforeAnswer,
            _ => return None,
        };
        Some((point, AtomicU32::new(count.parse().ok()?)))
    }
}
