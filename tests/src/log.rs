//! Captures the log of a test as text.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::util::SubscriberInitExt as _;

/// The log that this thread has written since [`captured`] was called.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The text so far.
    #[must_use]
    pub fn text(&self) -> String {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Captures the log of this thread until the second value is dropped.
#[must_use]
pub fn captured() -> (Log, impl Sized) {
    // While there is only one subscriber, tracing asks the subscriber of the thread that first reaches an event whether
    // anybody reads it. In a thread of another test, nobody does, and then this test's events would be missing too. So all
    // other threads have a subscriber that reads everything and writes nothing. It is set once.
    let _ = tracing_subscriber::registry().try_init();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    (log, subscriber.finish().set_default())
}
