//! A bounded queue of log lines, which a separate thread writes. So a log that nobody reads does not block calls.
//!
//! `tracing-appender` is not used here, because it does not count a line whose write failed, and prints to standard
//! output if it cannot end.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::meter;

/// The largest number of lines that wait to be written, and the largest number of their bytes.
const MOST_LINES: usize = 4096;
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// How long the thread rests after it has written all waiting lines. A line that arrives meanwhile wakes no thread, so that
/// many calls cost one wake.
const REST: Duration = Duration::from_millis(1);

/// The sending end of the queue. Adding a line never waits and never fails.
#[derive(Clone)]
pub(super) struct Queue {
    entries: SyncSender<Entry>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The bytes of the lines that wait to be written.
    bytes: AtomicUsize,
    /// The number of lines that did not fit into the queue or could not be written.
    lost: AtomicU64,
}

enum Entry {
    Line(Vec<u8>),
    /// A request for a signal: when every entry before this one has been written, the sender is dropped.
    Flush(SyncSender<()>),
}

impl Queue {
    /// A queue whose lines a separate thread writes to `target`.
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
        // If the queue is full, nobody reads the log, so waiting would not help.
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

    /// Logs how many lines were lost since the last report.
    fn report(&self, reported: &mut u64) {
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > *reported {
            tracing::warn!(
                lines = lost - *reported,
                "lines of this log were lost, because they could not be written or were not read fast enough"
            );
            // The report goes through the same queue. If the report itself is lost, it is repeated after the next line.
            if self.lost.load(Ordering::Relaxed) == lost {
                *reported = lost;
            }
        }
    }
}

/// Writes the waiting lines until every sender is gone. Lines that cannot be written are counted. The count is logged
/// after the next line that can be written.
fn write_all(waiting: &Receiver<Entry>, shared: &Shared, mut target: impl Write) {
    let (mut reported, mut is_cut) = (0, false);
    let mut write = |entry| match entry {
        Entry::Line(line) => {
            let written = write_line(&mut target, &line, &mut is_cut);
            shared.bytes.fetch_sub(line.len(), Ordering::Relaxed);
            match written {
                Ok(()) => shared.report(&mut reported),
                Err(_) => shared.lose(),
            }
        }
        Entry::Flush(written) => drop(written),
    };
    while let Ok(first) = waiting.recv() {
        write(first);
        waiting.try_iter().for_each(&mut write);
        std::thread::sleep(REST);
    }
}

/// Writes one line. `is_cut` says whether the line before has no end, because only a part of it could be written; that
/// line is ended first, so that this one stays a line of its own.
fn write_line(target: &mut impl Write, line: &[u8], is_cut: &mut bool) -> io::Result<()> {
    if *is_cut {
        target.write_all(b"\n")?;
        *is_cut = false;
    }
    let mut rest = line;
    while !rest.is_empty() {
        match target.write(rest) {
            Ok(written @ 1..) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            failed => {
                *is_cut = rest.len() < line.len();
                return Err(failed.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into()));
            }
        }
    }
    target.flush()
}

impl<'w> MakeWriter<'w> for Queue {
    type Writer = Line<'w>;

    fn make_writer(&'w self) -> Line<'w> {
        Line(self)
    }
}

/// The writer of one line. The formatter writes each line in one piece.
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

    /// A target that says when a write begins, waits for a signal before it writes, and sends what was written.
    struct Gate {
        begun: Sender<()>,
        open: Receiver<bool>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.begun.send(());
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

    fn gated() -> (Queue, Receiver<()>, Sender<bool>, Receiver<Vec<u8>>) {
        let (begun, begins) = channel();
        let (opener, open) = channel();
        let (written, read) = channel();
        (
            Queue::open(Gate { begun, open, written }).unwrap(),
            begins,
            opener,
            read,
        )
    }

    #[test]
    fn lines_that_do_not_fit_are_counted_and_the_others_are_written_in_order() {
        let (queue, begins, opener, read) = gated();
        queue.put(b"0");
        // Until it has written this line, the thread takes no other line out of the queue.
        begins.recv().unwrap();
        for number in 1..=2 * MOST_LINES {
            queue.put(number.to_string().as_bytes());
        }
        assert_eq!(queue.shared.lost.load(Ordering::Relaxed), MOST_LINES as u64);
        // The queue is full, so this returns at once.
        queue.flush(Duration::from_secs(3600));
        drop(opener);
        let written = (0..=MOST_LINES).map(|_| String::from_utf8(read.recv().unwrap()).unwrap());
        let written: Vec<usize> = written.map(|number| number.parse().unwrap()).collect();
        assert!(written.is_sorted(), "{written:?}");
        queue.flush(Duration::from_secs(3600));
        assert_eq!(queue.shared.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn long_lines_are_bounded_by_their_bytes() {
        let (queue, _begins, _opener, _read) = gated();
        let line = vec![b' '; MOST_BYTES / 4];
        for _ in 0..8 {
            queue.put(&line);
        }
        assert!(queue.shared.bytes.load(Ordering::Relaxed) <= MOST_BYTES);
        assert!(queue.shared.lost.load(Ordering::Relaxed) >= 4);
    }

    #[test]
    fn a_line_that_cannot_be_written_is_counted_and_the_next_one_is_written() {
        let (queue, _begins, opener, read) = gated();
        opener.send(false).unwrap();
        queue.put(b"lost");
        drop(opener);
        queue.put(b"kept");
        assert_eq!(read.recv().unwrap(), b"kept");
        assert_eq!(queue.shared.lost.load(Ordering::Relaxed), 1);
    }

    /// A disk with this many bytes left, and what was written.
    struct Disk(usize, Vec<u8>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fitting = bytes.len().min(self.0);
            if fitting == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= fitting;
            self.1.extend_from_slice(&bytes[..fitting]);
            Ok(fitting)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_cut_by_a_full_disk_does_not_spoil_the_next_one() {
        let (mut disk, mut is_cut) = (Disk(8, Vec::new()), false);
        let mut write = |disk: &mut Disk, line: &str| write_line(disk, line.as_bytes(), &mut is_cut).is_ok();
        assert!(write(&mut disk, "first\n"));
        for lost in ["second\n", "third\n"] {
            assert!(!write(&mut disk, lost));
        }
        disk.0 = 100;
        assert!(write(&mut disk, "fourth\n") && write(&mut disk, "fifth\n"));
        assert_eq!(String::from_utf8(disk.1).unwrap(), "first\nse\nfourth\nfifth\n");
    }
}
