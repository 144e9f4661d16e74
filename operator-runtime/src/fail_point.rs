//! Fail points: named moments at which a test kills the whole process. Without `--cfg operator_fail_points` they compile
//! to nothing.

/// A moment during an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailPoint {
    /// The operation is claimed; the handler has not begun.
    AfterClaim,
    /// Parts of limits are reserved; the handler has not begun.
    AfterReserve,
    /// The handler has ended; its outcome is not recorded yet.
    BeforeCommit,
    /// The outcome is recorded; no caller has been answered yet.
    AfterCommit,
    /// The response is complete; it is not sent yet.
    BeforeAnswer,
}

impl FailPoint {
    /// Kills the process if a test has armed this point and its count is reached.
    #[cfg(operator_fail_points)]
    pub(crate) fn pass(self) {
        armed::pass(self);
    }

    /// Does nothing.
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
            // The signal may arrive a moment later; until then this thread must not continue.
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
            "after-reserve" => FailPoint::AfterReserve,
            "before-commit" => FailPoint::BeforeCommit,
            "after-commit" => FailPoint::AfterCommit,
            "before-answer" => FailPoint::BeforeAnswer,
            _ => return None,
        };
        Some((point, AtomicU32::new(count.parse().ok()?)))
    }
}
