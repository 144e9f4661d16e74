//! A bounded queue of log lines with a thread of its own, so that a log that nobody reads holds up no call.
//!
//! `tracing-appender` is not used here: it does not count a line whose write failed, and prints to standard output where it
//! cannot end.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::meter;

/// The most lines that wait to be written, and the most bytes of them.
const MOST_LINES: usize = 4096;
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The end of the queue that lines are put into. It never waits and never fails.
#[derive(Clone)]
pub(super) struct Queue {
    entries: SyncSender<Entry>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The bytes of the lines that wait.
    bytes: AtomicUsize,
    /// Lines that did not fit, or could not be written.
    lost: AtomicU64,
}

enum Entry {
    Line(Vec<u8>),
    /// Everything before this entry has been written when the sender is dropped.
    Flush(SyncSender<()>),
}

impl Queue {
    /// A queue whose lines are written to `target`, on a thread of its own.
    pub(super) fn open(target: impl Write + Send + 'static) -> io::Result<Self> {
        let (entries, waiting) = sync_channel(MOST_LINES);
        let shared = Arc::<Shared>::default();
        let queue = Self {
            entries,
            shared: Arc::clone(&shared),
        };
        std::thread::Builder::new()
            .name("operator-log".to_owned())
            .spawn(move || write_all(&waiting, &shared, target))?;
        Ok(queue)
    }

    /// Waits until everything that was logged before has been written, for at most `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let (written, done) = sync_channel(1);
        // A full queue is one whose lines nobody takes, so there is nothing to wait for.
        if self.entries.try_send(Entry::Flush(written)).is_ok() {
            let _ = done.recv_timeout(limit);
        }
    }

    fn put(&self, line: &[u8]) {
        let bytes = &self.shared.bytes;
        let fits = bytes.fetch_add(line.len(), Ordering::Relaxed) + line.len() <= MOST_BYTES;
        if fits && self.entries.try_send(Entry::Line(line.to_vec())).is_ok() {
            return;
        }
        bytes.fetch_sub(line.len(), Ordering::Relaxed);
        self.shared.lose();
    }
}

impl Shared {
    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        meter::log_line_lost();
    }
}

/// Writes what waits until every sender is gone; what cannot be written is counted, and reported once a line was.
fn write_all(waiting: &Receiver<Entry>, shared: &Shared, mut target: impl Write) {
    let mut reported = 0;
    while let Ok(entry) = waiting.recv() {
        let line = match entry {
            Entry::Line(line) => line,
            Entry::Flush(written) => {
                drop(written);
                continue;
            }
        };
        let written = target.write_all(&line).and_then(|()| target.flush());
        shared.bytes.fetch_sub(line.len(), Ordering::Relaxed);
        if written.is_err() {
            shared.lose();
            continue;
        }
        let lost = shared.lost.load(Ordering::Relaxed);
        if lost > reported {
            tracing::warn!(
                lines = lost - reported,
                "lines of this log were lost, because nothing took them"
            );
            // The report goes through the same queue, and where it did not fit it is made again.
            if shared.lost.load(Ordering::Relaxed) == lost {
                reported = lost;
            }
        }
    }
}

impl<'w> MakeWriter<'w> for Queue {
    type Writer = Line<'w>;

    fn make_writer(&'w self) -> Line<'w> {
        Line(self)
    }
}

/// Where one line is written: the formatter hands a line over in one piece.
pub(super) struct Line<'q>(&'q Queue);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// A target that waits for a signal before each write, and sends what was written.
    struct Gate {
        open: Receiver<bool>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if !self.open.recv().unwrap_or(true) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let _ = self.written.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (Queue, Sender<bool>, Receiver<Vec<u8>>) {
        let (opener, open) = channel();
        let (written, read) = channel();
        (Queue::open(Gate { open, written }).unwrap(), opener, read)
    }

    #[test]
    fn lines_that_do_not_fit_are_counted_and_the_others_are_written_in_order() {
        let (queue, opener, read) = gated();
        for number in 0..2 * MOST_LINES {
            queue.put(number.to_string().as_bytes());
        }
        let lost = queue.shared.lost.load(Ordering::Relaxed);
        // The thread may hold one line that it has taken out.
        let waiting = 2 * MOST_LINES as u64 - lost;
        assert!(
            (MOST_LINES as u64..=MOST_LINES as u64 + 1).contains(&waiting),
            "{waiting}"
        );
        // Nobody takes the lines, so this returns at once.
        queue.flush(Duration::from_secs(3600));
        drop(opener);
        let written = (0..waiting).map(|_| String::from_utf8(read.recv().unwrap()).unwrap());
        let written: Vec<usize> = written.map(|number| number.parse().unwrap()).collect();
        assert!(written.is_sorted(), "{written:?}");
        queue.flush(Duration::from_secs(3600));
        assert_eq!(queue.shared.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn long_lines_are_bounded_by_their_bytes() {
        let (queue, _opener, _read) = gated();
        let line = vec![b' '; MOST_BYTES / 4];
        for _ in 0..8 {
            queue.put(&line);
        }
        assert!(queue.shared.bytes.load(Ordering::Relaxed) <= MOST_BYTES);
        assert!(queue.shared.lost.load(Ordering::Relaxed) >= 4);
    }

    #[test]
    fn a_line_that_cannot_be_written_is_counted_and_the_next_one_is_written() {
        let (queue, opener, read) = gated();
        opener.send(false).unwrap();
        queue.put(b"lost");
        drop(opener);
        queue.put(b"kept");
        assert_eq!(read.recv().unwrap(), b"kept");
        assert_eq!(queue.shared.lost.load(Ordering::Relaxed), 1);
    }
}
