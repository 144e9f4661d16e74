//! The current phase of one connection, written by the connection's task and read by the server.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use super::connections::Connections;
use super::wrong_protocol::Beginning;

/// The phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No bytes have arrived since the connection was opened or since its last answer was sent. If a part of the next
    /// request arrived together with the previous request, this phase lasts until more bytes arrive.
    Idle,
    /// Bytes have arrived that may be a complete head.
    Asking,
    /// A head has begun and is incomplete.
    Head,
    /// A request is being answered.
    Working,
    /// The server waits for more of a request's body.
    Body,
    /// The server waits for the caller to read its answer.
    Answer,
    /// Closed by the server, because the caller exceeded a time limit.
    Overdue,
    /// Closed by the server, because there were too many connections.
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

/// A phase and its start in one number: microseconds since the server's start, with the phase in the last three bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

impl Moment {
    /// The moment at this time after the server's start.
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

/// The state of a connection, for the server. Other tasks may only read it or call `close`. A request that arrives in
/// one piece and is answered at once costs a few atomic writes and one reading of the clock.
pub(super) struct Watched {
    moment: AtomicU64,
    /// Whether the service is answering a request. The caller may still be reading the previous answer.
    in_call: AtomicBool,
    /// The bytes of answers that the caller has not read yet.
    answer: AtomicU64,
    /// The first bytes that arrived, as one number.
    beginning: AtomicU64,
    waker: OnceLock<Waker>,
    connections: Arc<Connections>,
}

impl Watched {
    pub(super) fn new(connections: Arc<Connections>) -> Self {
        Self {
            moment: AtomicU64::new(connections.now().of(Phase::Idle).0),
            in_call: AtomicBool::new(false),
            answer: AtomicU64::new(0),
            beginning: AtomicU64::new(0),
            waker: OnceLock::new(),
            connections,
        }
    }

    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }

    pub(super) fn woken_by(&self, waker: Waker) {
        // The waker is set only once, before the connection is first polled, so `set` does not fail.
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

    pub(super) fn begins_with(&self, beginning: Beginning) {
        self.beginning.store(u64::from_ne_bytes(beginning), Ordering::Relaxed);
    }

    pub(super) fn beginning(&self) -> Beginning {
        self.beginning.load(Ordering::Relaxed).to_ne_bytes()
    }

    /// Closes the connection, unless its phase has changed since `moment`.
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

    /// Enters a phase. Returns an error if the server has closed the connection meanwhile.
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

    /// Enters a phase without a time limit, which needs no reading of the clock.
    fn enter_untimed(&self, phase: Phase) -> io::Result<()> {
        self.enter(Moment::default().of(phase))
    }

    fn enter_now(&self, phase: Phase) -> io::Result<()> {
        self.enter(self.connections.now().of(phase))
    }

    /// Called when hyper is about to read. If bytes have already arrived, they were not a complete head.
    pub(super) fn reads(&self) -> io::Result<()> {
        match self.phase() {
            Phase::Asking => {
                // The head is counted before the phase changes, because after the change any thread may close the
                // connection and decrement the count.
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

    /// Called while a handshake is going on, which is treated as an unfinished head.
    #[cfg(feature = "tls")]
    pub(super) fn shakes_hands(&self) -> io::Result<()> {
        match self.phase() {
            Phase::Idle => {
                self.enter_untimed(Phase::Asking)?;
                self.reads()
            }
            phase if phase.is_closed() => Err(closed()),
            _ => Ok(()),
        }
    }

    /// Called when the handshake is over.
    #[cfg(feature = "tls")]
    pub(super) fn shook_hands(&self) -> io::Result<()> {
        self.enter_now(Phase::Idle)
    }

    /// Called when bytes have been read. Returns an error if the server has closed the connection meanwhile.
    pub(super) fn has_read(&self) -> io::Result<()> {
        match self.phase() {
            Phase::Idle => self.enter_untimed(Phase::Asking),
            phase if phase.is_closed() => Err(closed()),
            _ => Ok(()),
        }
    }

    /// Called when a head is complete and its request goes to the service.
    pub(super) fn call_begins(&self) {
        self.in_call.store(true, Ordering::Relaxed);
        if self.phase() != Phase::Answer {
            // If the connection is already closed, the next read or write returns the error.
            let _ = self.enter_untimed(Phase::Working);
        }
    }

    /// Called when the service has answered with this many bytes.
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

    /// Called before bytes are written.
    pub(super) fn writes(&self) -> io::Result<()> {
        match self.phase() {
            // Hyper itself refuses the head, so the service does not get the request.
            Phase::Idle | Phase::Asking | Phase::Head => self.enter_untimed(Phase::Working),
            phase if phase.is_closed() => Err(closed()),
            _ => Ok(()),
        }
    }

    /// Called when the server waits for the caller to read. Returns an error if the server has closed the connection.
    pub(super) fn waits_for_reader(&self) -> io::Result<()> {
        match self.phase() {
            Phase::Working => self.enter_now(Phase::Answer),
            phase if phase.is_closed() => Err(closed()),
            _ => Ok(()),
        }
    }

    /// Called when all answers so far have been written.
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

    /// Called when the connection has ended.
    pub(super) fn ended(&self) {
        let _ = self.enter_untimed(Phase::Overdue);
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the server has closed the connection")
}
