//! Lines from a serial line: the receive interrupt puts bytes into a queue and wakes the state that reads them.

use core::{cell::RefCell, fmt::Write};

use batchloop_core::{Capacity, Local, Step, Turn, Waker, point, storage};
use critical_section::Mutex;
use heapless::{Deque, String};
use suite::Failure;

use super::end;
use crate::{Board, Sleep};

/// What the interrupt handler fills.
struct Receiver {
    /// As much as the other side sends without waiting for an answer.
    bytes: Deque<u8, 128>,
    /// Bytes that found the queue full.
    lost: u32,
    reader: Option<Waker<Local>>,
}

static RECEIVER: Mutex<RefCell<Receiver>> = Mutex::new(RefCell::new(Receiver {
    bytes: Deque::new(),
    lost: 0,
    reader: None,
}));

fn with<R>(work: impl FnOnce(&mut Receiver) -> R) -> R {
    critical_section::with(|cs| work(&mut RECEIVER.borrow_ref_mut(cs)))
}

/// The handler of the serial line's receive interrupt.
pub fn on_receive<B: Board>() {
    while let Some(byte) = B::receive() {
        with(|receiver| {
            if receiver.bytes.push_back(byte).is_err() {
                receiver.lost += 1;
            }
        });
    }
    if let Some(reader) = with(|receiver| receiver.reader) {
        // A reader that has ended needs no wake.
        let _ = reader.wake();
    }
}

/// The serial line as a place to print to.
struct Line<B>(core::marker::PhantomData<B>);

impl<B: Board> Write for Line<B> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        text.bytes().for_each(B::send);
        Ok(())
    }
}

/// Reads lines and answers them.
#[derive(Default)]
struct Reader {
    line: String<32>,
    lines: u32,
}

storage!(static READERS: Reader = Capacity::slots(1).points(2).scopes(0));

impl Reader {
    /// Takes bytes until a line is complete.
    fn read(&mut self) -> Option<String<32>> {
        while let Some(byte) = with(|receiver| receiver.bytes.pop_front()) {
            match byte {
                b'\n' => return Some(core::mem::take(&mut self.line)),
                byte => {
                    // A line that is too long is answered as far as it goes.
                    let _ = self.line.push(char::from(byte));
                }
            }
        }
        None
    }
}

fn entry<B: Board>(cx: &mut Turn<'_, Reader>, out: &mut Line<B>) -> core::fmt::Result {
    let mut outcome = Ok(());
    let new = cx.arrivals();
    cx.stage(point!("line"), new).advance(|reader, me| {
        with(|receiver| receiver.reader = Some(me.waker()));
        while let Some(mut line) = reader.read() {
            reader.lines += 1;
            line.make_ascii_uppercase();
            outcome = writeln!(out, "{} {line}", reader.lines);
            if line == "END" {
                return Step::Release;
            }
        }
        Step::Wait
    });
    if cx.machine().live() == 0 {
        cx.stop();
    }
    outcome
}

fn run<B: Board>() -> Result<(), Failure> {
    let machine = READERS.local()?;
    let mut driver = machine.driver()?;
    machine.allocate(Reader::default())?;
    let out = &mut Line::<B>(core::marker::PhantomData);
    B::listen();
    writeln!(out, "ready")?;
    // QEMU may have found the line deaf and gone to sleep itself. A timer makes it look again.
    B::alarm();
    let mut outcome = Ok(());
    driver.run(Sleep::<B>::new(), |cx: &mut Turn<'_, Reader>| {
        outcome = outcome.and(entry(cx, out));
    })?;
    writeln!(out, "bytes lost: {}", with(|receiver| receiver.lost))?;
    Ok(outcome?)
}

/// Answers each line in capitals, until one says "end".
pub fn serial<B: Board>() -> ! {
    end(run::<B>())
}
