//! What one connection is doing, as its own task notes it and as the server reads it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use super::connections::Connections;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing has come since it was opened or last answered. A part of a next request that came together with the one
    /// before shows only once more of it comes.
    Idle,
    /// Something has come that may be a whole head.
    Asking,
    /// A head has begun and is not finished.
    Head,
    /// A request is being answered.
    Working,
    /// A request waits for more of its body.
    Body,
    /// The caller does not take its answer as fast as it is written.
    Answer,
    /// Closed by the server, because the caller took too long.
    Overdue,
    /// Closed by the server, because there are others.
    Surplus,
}

impl Phase {
    const ALL: [Self; 8] = [
        Self::Idle,
        Self::Asking,
        Self::Head,
        Self::Working,
        Self::Body,
        Self::Answer,
        Self::Overdue,
        Self::Surplus,
    ];

    fn is_closed(self) -> bool {
        matches!(self, Self::Overdue | Self::Surplus)
    }
}

/// A phase and when it began, in one number: microseconds, and the phase in the last three bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

impl Moment {
    /// When the server has been there for so long.
    pub(super) fn after(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX) << 3)
    }

    fn of(self, phase: Phase) -> Self {
        Self(self.0 & !0b111 | phase as u64)
    }

    pub(super) fn phase(self) -> Phase {
        Phase::ALL[usize::from(self.0.to_le_bytes()[0] & 0b111)]
    }

    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_micros((self.0 >> 3).saturating_sub(earlier.0 >> 3))
    }
}

/// A connection as the server sees it. All but `close` is for its own task. A request that comes in one piece and is
/// answered at once costs some writes of an atomic and one look at the clock.
pub(super) struct Watched {
    moment: AtomicU64,
    /// A request is with the service, perhaps while the answer before it is not taken yet.
    in_call: AtomicBool,
    /// The answers that have been given and not taken, in bytes.
    answer: AtomicU64,
    waker: OnceLock<Waker>,
    connections: Arc<Connections>,
}

impl Watched {
    pub(super) fn new(connections: Arc<Connections>) -> Self {
        Self {
            moment: AtomicU64::new(connections.now().of(Phase::Idle).0),
            in_call: AtomicBool::new(false),
            answer: AtomicU64::new(0),
            waker: OnceLock::new(),
            connections,
        }
    }

    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }

    pub(super) fn woken_by(&self, waker: Waker) {
        // Once, before the connection is first polled.
        let _ = self.waker.set(waker);
    }

    pub(super) fn moment(&self) -> Moment {
        Moment(self.moment.load(Ordering::Acquire))
    }

    pub(super) fn phase(&self) -> Phase {
        self.moment().phase()
    }

    pub(super) fn answer_bytes(&self) -> u64 {
        self.answer.load(Ordering::Relaxed)
    }

    /// Closes it, unless it has gone on since `moment`.
    pub(super) fn close(&self, moment: Moment, how: Phase) -> bool {
        let (old, new) = (moment.0, moment.of(how).0);
        let closed = self
            .moment
            .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire);
        if closed.is_ok() {
            tracing::debug!(was = ?moment.phase(), ?how, "a connection is closed");
            if moment.phase() == Phase::Head {
                self.connections.head_is_over();
            }
            if let Some(waker) = self.waker.get() {
                waker.wake_by_ref();
            }
        }
        closed.is_ok()
    }

    /// An error where the server has closed it meanwhile.
    fn enter(&self, new: Moment) -> io::Result<()> {
        let entered = self.moment.try_update(Ordering::AcqRel, Ordering::Acquire, |old| {
            (!Moment(old).phase().is_closed()).then_some(new.0)
        });
        let old = entered.map_err(|_| closed())?;
        if Moment(old).phase() == Phase::Head {
            self.connections.head_is_over();
        }
        Ok(())
    }

    /// For a phase that nobody times.
    fn enter_untimed(&self, phase: Phase) -> io::Result<()> {
        self.enter(Moment::default().of(phase))
    }

    fn enter_now(&self, phase: Phase) -> io::Result<()> {
        self.enter(self.connections.now().of(phase))
    }

    /// More is about to be read: what has come so far was no whole head.
    pub(super) fn reads(&self) -> io::Result<()> {
        match self.phase() {
            Phase::Asking => {
                // Counted first, because from then on any thread may close the connection and count it down.
                let is_one_too_many = self.connections.count_head();
                if let Err(closed) = self.enter_now(Phase::Head) {
                    self.connections.head_is_over();
                    return Err(closed);
                }
                if is_one_too_many {
                    self.connections.close_oldest_head();
                }
                Ok(())
            }
            phase if phase.is_closed() => Err(closed()),
            _ => Ok(()),
        }
    }

    /// Bytes have been read; of a connection that was closed meanwhile, nobody reads them.
    pub(super) fn has_read(&self) -> io::Result<()> {
        match self.phase() {
            Phase::Idle => self.enter_untimed(Phase::Asking),
            phase if phase.is_closed() => Err(closed()),
            _ => Ok(()),
        }
    }

    /// A head is finished, and its request goes to the service.
    pub(super) fn call_begins(&self) {
        self.in_call.store(true, Ordering::Relaxed);
        if self.phase() != Phase::Answer {
            // Where it is closed already, the next read or write says so.
            let _ = self.enter_untimed(Phase::Working);
        }
    }

    /// The service has answered, with so many bytes.
    pub(super) fn call_ends(&self, bytes: u64) {
        self.in_call.store(false, Ordering::Relaxed);
        self.answer.fetch_add(bytes, Ordering::Relaxed);
        self.body_is_over();
    }

    pub(super) fn waits_for_body(&self) -> io::Result<()> {
        match self.phase() {
            Phase::Working => self.enter_now(Phase::Body),
            phase if phase.is_closed() => Err(closed()),
            _ => Ok(()),
        }
    }

    pub(super) fn body_is_over(&self) {
        if self.phase() == Phase::Body {
            let _ = self.enter_untimed(Phase::Working);
        }
    }

    /// Something is about to be written.
    pub(super) fn writes(&self) -> io::Result<()> {
        match self.phase() {
            // A head that hyper refuses, which no service sees.
            Phase::Idle | Phase::Asking | Phase::Head => self.enter_untimed(Phase::Working),
            phase if phase.is_closed() => Err(closed()),
            _ => Ok(()),
        }
    }

    pub(super) fn waits_for_reader(&self) -> io::Result<()> {
        match self.phase() {
            Phase::Working => self.enter_now(Phase::Answer),
            _ => Ok(()),
        }
    }

    /// All that was given has been written.
    pub(super) fn has_written(&self) -> io::Result<()> {
        let phase = self.phase();
        if !matches!(phase, Phase::Working | Phase::Answer) {
            return Ok(());
        }
        if !self.in_call.load(Ordering::Relaxed) {
            self.answer.store(0, Ordering::Relaxed);
            return self.enter_now(Phase::Idle);
        }
        if phase == Phase::Answer {
            self.answer.store(0, Ordering::Relaxed);
            return self.enter_untimed(Phase::Working);
        }
        Ok(())
    }

    /// The connection is gone.
    pub(super) fn ended(&self) {
        let _ = self.enter_untimed(Phase::Overdue);
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the server has closed the connection")
}
