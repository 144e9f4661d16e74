//! The clock: the only file that reads the time.

use std::fmt::Debug;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The last second of the year 9999, since 1970. `humantime` cannot print a later time.
pub(crate) const LAST_OF_9999: Duration = Duration::from_secs(253_402_300_799);

/// The source of the time. Tests provide their own clock.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Time since 1970-01-01 UTC by the machine's wall clock, which may jump forward or back.
    fn since_unix_epoch(&self) -> Duration;

    /// Time since some fixed moment. It never goes back and never jumps.
    fn monotonic(&self) -> Duration;

    /// Time on which all processes of this machine agree until the machine is restarted, even if its wall clock is set;
    /// `None` on systems that do not provide such a time.
    fn machine(&self) -> Option<MachineTime> {
        None
    }

    /// Whole seconds since 1970-01-01 UTC.
    fn unix_seconds(&self) -> u64 {
        self.since_unix_epoch().as_secs()
    }
}

/// Time counted from the start (boot) of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineTime {
    /// Identifies this boot of this machine.
    pub boot: String,
    /// How long ago the machine was started.
    pub since: Duration,
}

/// The machine's own clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts at zero now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn since_unix_epoch(&self) -> Duration {
        // A wall clock before 1970 counts as 1970. This makes no difference: with either time, every correct call is
        // refused as stale.
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    #[cfg(all(feature = "sqlite", target_os = "linux"))]
    fn machine(&self) -> Option<MachineTime> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let since = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Some(MachineTime {
            boot: boot.trim().to_owned(),
            since: since.try_into().ok()?,
        })
    }
}

/// The present time of tokio's timers. A test can pause this time.
pub(crate) fn timer_now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// A duration in milliseconds, rounded to whole microseconds, so that the printed number has no meaningless digits.
pub(crate) fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

/// A clock that a test advances by hand.
#[derive(Debug)]
pub struct ManualClock {
    /// The wall clock time and the monotonic time.
    now: Mutex<(Duration, Duration)>,
    boot: String,
}

impl ManualClock {
    /// A clock whose wall time is `since_unix_epoch`.
    #[must_use]
    pub fn at(since_unix_epoch: Duration) -> Self {
        Self {
            now: Mutex::new((since_unix_epoch, Duration::ZERO)),
            boot: "the first".to_owned(),
        }
    }

    /// The same clock on a machine that has been restarted: `boot` names the new start.
    #[must_use]
    pub fn after_a_reboot(self, boot: &str) -> Self {
        Self {
            boot: boot.to_owned(),
            ..self
        }
    }

    /// Advances both the wall clock and the monotonic time.
    pub fn advance(&self, by: Duration) {
        let mut now = self.lock();
        now.0 += by;
        now.1 += by;
    }

    /// Sets the wall clock only, as an administrator or a time server does.
    pub fn jump_to(&self, since_unix_epoch: Duration) {
        self.lock().0 = since_unix_epoch;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Duration, Duration)> {
        self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn since_unix_epoch(&self) -> Duration {
        self.lock().0
    }

    fn monotonic(&self) -> Duration {
        self.lock().1
    }

    fn machine(&self) -> Option<MachineTime> {
        Some(MachineTime {
            boot: self.boot.clone(),
            since: self.monotonic(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_rounded_to_whole_microseconds() {
        let rounded = |nanoseconds| milliseconds(Duration::from_nanos(nanoseconds)).to_string();
        assert_eq!(rounded(307_196), "0.307");
        assert_eq!(rounded(2_500_000), "2.5");
        assert_eq!(rounded(61_000_000_999), "61000.001");
    }

    #[test]
    fn a_jump_of_the_wall_clock_leaves_monotonic_time_alone() {
        let clock = ManualClock::at(Duration::from_secs(1_000));
        clock.advance(Duration::from_secs(5));
        clock.jump_to(Duration::from_secs(10));
        assert_eq!((clock.unix_seconds(), clock.monotonic()), (10, Duration::from_secs(5)));
    }
}
