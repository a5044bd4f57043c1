//! What a program says on standard error, without ever waiting for its reader.
//!
//! A pipe that is not read is full at some time, and then a write waits, with the lock of standard error held: the next
//! note of the loop would wait too, and with it all clients. So one thread alone writes here, without that lock, and
//! all others leave their text with it. What it has no room for is lost, and counted.

use std::{
    collections::VecDeque,
    io::{self, BufWriter, Write},
    os::fd::AsFd,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use batchloop_std::dump_all;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, retry_on_intr},
};

/// How many bytes of notes wait at most while they are not read. More are lost.
const ROOM: usize = 64 * 1024;

/// A pipe that has room has room for so much at once.
const PIECE: usize = 4096;

/// How long nothing is read until that is a stall.
const STALL: Duration = Duration::from_secs(1);

/// After how many stalls the end of the program waits no longer.
const STALLS: u64 = 2;

/// How long the end of the program waits for an output that takes some bytes now and then, at most.
const FLUSH: Duration = Duration::from_secs(10);

static NOTES: Notes = Notes::new();

struct Notes {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    /// How many notes found no room since the last one that did.
    lost: u64,
    /// Another dump has been asked for and has not begun.
    has_dump: bool,
    has_writer: bool,
    /// All that was taken out has been written.
    is_idle: bool,
    stalls: u64,
}

/// What the writer does next.
enum Item {
    Text(String),
    /// Of the whole system, made when it is its turn: it shows what is then, and needs no room before.
    Dump,
}

/// Says one line on standard error, at once or when there is room, and goes on.
///
/// While nothing is read, 64 KiB wait. What does not fit is lost, and where it would have been, a line says how much.
pub fn note(program: &str, text: &str) {
    say(format!("{program}: {}\n", text.replace('\n', "\\n")));
}

/// Says text as it is, as [`note`] does.
pub fn say(text: String) {
    NOTES.add(text);
}

/// Says what the whole system is doing, when all that was said before is out. Two that have not begun are one.
pub(crate) fn say_dump() {
    NOTES.add_dump();
}

/// Waits until everything that was said is out, as long as it is read; for the end of the program.
///
/// An output that takes nothing for two seconds, or not all in ten, loses the rest.
pub fn flush_notes() {
    NOTES.flush();
}

impl Notes {
    const fn new() -> Self {
        Notes {
            queue: Mutex::new(Queue {
                items: VecDeque::new(),
                bytes: 0,
                lost: 0,
                has_dump: false,
                has_writer: false,
                is_idle: true,
                stalls: 0,
            }),
            changed: Condvar::new(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing that can panic leaves it half-changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&'static self, text: String) {
        let mut queue = self.queue();
        queue.add(text);
        self.begin(queue);
    }

    fn add_dump(&'static self) {
        let mut queue = self.queue();
        if !queue.has_dump {
            queue.has_dump = true;
            queue.items.push_back(Item::Dump);
        }
        self.begin(queue);
    }

    /// Sees to it that a thread writes.
    fn begin(&'static self, mut queue: MutexGuard<'_, Queue>) {
        if !queue.has_writer {
            let writer = thread::Builder::new().name("notes".into());
            // Where there is no thread for it, the next note tries again.
            let writing = move || {
                let _writer = Writer(self);
                self.write_all(io::stderr());
            };
            queue.has_writer = writer.spawn(writing).is_ok();
        }
        drop(queue);
        self.changed.notify_all();
    }

    fn write_all(&self, output: impl AsFd) {
        let mut output = Output {
            notes: self,
            output,
        };
        loop {
            // It may be that it cannot be heard there.
            let _ = match self.next() {
                Item::Text(text) => output.write_all(text.as_bytes()),
                Item::Dump => {
                    let mut pieces = BufWriter::with_capacity(PIECE, &mut output);
                    write!(pieces, "{}", dump_all()).and_then(|()| pieces.flush())
                }
            };
        }
    }

    fn next(&self) -> Item {
        let mut queue = self.queue();
        loop {
            if let Some(item) = queue.take() {
                return item;
            }
            queue.is_idle = true;
            self.changed.notify_all();
            let woken = self.changed.wait(queue);
            queue = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn flush(&self) {
        let until = Instant::now() + FLUSH;
        let mut queue = self.queue();
        let enough = queue.stalls + STALLS;
        while queue.has_writer && !queue.is_written() && queue.stalls < enough {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let woken = self.changed.wait_timeout(queue, left);
            (queue, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn stall(&self) {
        self.queue().stalls += 1;
        self.changed.notify_all();
    }
}

impl Queue {
    fn add(&mut self, text: String) {
        // One that is longer is somewhere in memory already.
        if self.bytes > 0 && self.bytes + text.len() > ROOM {
            self.lost += 1;
            return;
        }
        self.say_what_was_lost();
        self.bytes += text.len();
        self.items.push_back(Item::Text(text));
    }

    /// There is always room for that: it comes only behind notes that have filled it.
    fn say_what_was_lost(&mut self) {
        if self.lost > 0 {
            let lost = format!("notes lost here, which were not read: {}\n", self.lost);
            self.lost = 0;
            self.bytes += lost.len();
            self.items.push_back(Item::Text(lost));
        }
    }

    fn take(&mut self) -> Option<Item> {
        if self.items.is_empty() {
            self.say_what_was_lost();
        }
        let item = self.items.pop_front()?;
        match &item {
            Item::Text(text) => self.bytes -= text.len(),
            Item::Dump => self.has_dump = false,
        }
        self.is_idle = false;
        Some(item)
    }

    fn is_written(&self) -> bool {
        self.items.is_empty() && self.lost == 0 && self.is_idle
    }
}

/// The thread that writes. What a dump prints may panic; the next note has another one then.
struct Writer(&'static Notes);

impl Drop for Writer {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        (queue.has_writer, queue.is_idle) = (false, true);
        self.0.changed.notify_all();
    }
}

/// A descriptor that other processes may share, so it is left as it is, and may block.
struct Output<'n, F> {
    notes: &'n Notes,
    output: F,
}

impl<F: AsFd> Write for Output<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(PIECE)];
        loop {
            self.await_room()?;
            match retry_on_intr(|| rustix::io::write(&self.output, piece)) {
                // Others write there too.
                Err(Errno::AGAIN) => {}
                written => return Ok(written?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: AsFd> Output<'_, F> {
    /// Waits until there is room, or an error to be found.
    fn await_room(&self) -> io::Result<()> {
        let stall = Timespec {
            tv_sec: STALL.as_secs() as i64,
            tv_nsec: 0,
        };
        loop {
            let mut room = [PollFd::new(&self.output, PollFlags::OUT)];
            if retry_on_intr(|| poll(&mut room, Some(&stall)))? > 0 {
                return Ok(());
            }
            self.notes.stall();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::net::UnixStream};

    use super::*;

    /// Notes for a socket, and its other end.
    fn notes(writer: UnixStream) -> &'static Notes {
        let notes: &Notes = Box::leak(Box::new(Notes::new()));
        notes.queue().has_writer = true;
        thread::spawn(move || notes.write_all(writer));
        notes
    }

    /// Notes for a socket that is full of so many bytes, one of which the writer has in hand.
    fn stuck_notes() -> (&'static Notes, UnixStream, usize) {
        let (reader, mut writer) = UnixStream::pair().unwrap();
        let mut full = 0;
        writer.set_nonblocking(true).unwrap();
        while let Ok(written) = writer.write(&[b'x'; PIECE]) {
            full += written;
        }
        writer.set_nonblocking(false).unwrap();
        let notes = notes(writer);
        notes.add(line(0));
        while notes.queue().is_idle {
            thread::yield_now();
        }
        (notes, reader, full)
    }

    const LOST: &str = "notes lost here, which were not read: 10\n";

    fn line(number: usize) -> String {
        format!("{number:99}\n")
    }

    #[test]
    fn what_finds_no_room_is_counted_where_it_would_have_been() {
        let (notes, mut reader, full) = stuck_notes();
        let fit = ROOM / line(0).len();
        for number in 1..=fit + 10 {
            notes.add(line(number));
        }
        notes.add_dump();
        notes.add_dump();
        let queue = notes.queue();
        assert_eq!((queue.items.len(), queue.lost), (fit + 1, 10));
        drop(queue);
        io::copy(&mut (&mut reader).take(full as u64), &mut io::sink()).unwrap();
        let mut text = String::new();
        let length = line(0).len() * (fit + 1) + LOST.len();
        (&mut reader)
            .take(length as u64)
            .read_to_string(&mut text)
            .unwrap();
        let mut expected: String = (0..=fit).map(line).collect();
        expected.push_str(LOST);
        assert!(text == expected, "{text}");
    }

    #[test]
    fn the_end_waits_for_who_reads_and_not_for_nobody() {
        let (notes, mut reader, full) = stuck_notes();
        notes.add(line(1));
        let before = notes.queue().stalls;
        notes.flush();
        let queue = notes.queue();
        assert!(queue.stalls >= before + STALLS && !queue.is_written());
        drop(queue);
        thread::scope(|scope| {
            let flush = scope.spawn(|| notes.flush());
            let length = (full + 2 * line(0).len()) as u64;
            io::copy(&mut (&mut reader).take(length), &mut io::sink()).unwrap();
            flush.join().unwrap();
            assert!(notes.queue().is_written());
        });
    }

    #[test]
    fn a_note_of_any_length_is_said_where_none_waits() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let notes = notes(writer);
        let long = "x".repeat(3 * ROOM);
        notes.add(long.clone());
        let mut text = vec![0; long.len()];
        reader.read_exact(&mut text).unwrap();
        assert!(text == long.as_bytes());
    }

    #[test]
    fn an_output_without_a_reader_takes_nothing_and_holds_nobody() {
        let (reader, writer) = UnixStream::pair().unwrap();
        drop(reader);
        let notes = notes(writer);
        for number in 0..5000 {
            notes.add(line(number));
        }
        notes.flush();
        assert!(notes.queue().is_written());
    }
}
