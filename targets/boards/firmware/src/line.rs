//! The serial line: its interrupt puts what is received into a queue, and wakes the state that reads it.

use core::cell::RefCell;

use batchloop_core::{Local, Waker};
use critical_section::Mutex;
use heapless::Deque;

use crate::Board;

/// What the serial line makes an interrupt for.
#[derive(Clone, Copy, Debug)]
pub struct Interrupts {
    /// It has received a byte.
    pub received: bool,
    /// It takes a byte to send.
    pub can_send: bool,
}

/// What the handler works on.
struct Line {
    received: Deque<u8, 128>,
    /// While the queue is full, nothing is received.
    interrupts: Interrupts,
    reader: Option<Waker<Local>>,
}

static LINE: Mutex<RefCell<Line>> = Mutex::new(RefCell::new(Line {
    received: Deque::new(),
    interrupts: Interrupts {
        received: false,
        can_send: false,
    },
    reader: None,
}));

fn with<R>(work: impl FnOnce(&mut Line) -> R) -> R {
    critical_section::with(|cs| work(&mut LINE.borrow_ref_mut(cs)))
}

impl Line {
    fn let_through<B: Board>(&mut self, change: impl FnOnce(&mut Interrupts)) {
        change(&mut self.interrupts);
        B::listen(self.interrupts);
    }

    fn fill<B: Board>(&mut self) {
        while !self.received.is_full() {
            let Some(byte) = B::receive() else { return };
            // There is room.
            let _ = self.received.push_back(byte);
        }
        self.let_through::<B>(|interrupts| interrupts.received = false);
    }
}

/// The handler of the serial line's interrupts.
pub fn on_serial<B: Board>() {
    let reader = with(|line| {
        if line.interrupts.received {
            line.fill::<B>();
        }
        if line.interrupts.can_send && B::can_send() {
            line.let_through::<B>(|interrupts| interrupts.can_send = false);
        }
        line.reader
    });
    if let Some(reader) = reader {
        // A reader that has ended needs no wake.
        let _ = reader.wake();
    }
}

/// Starts to receive, and names what is woken by each interrupt.
pub(crate) fn start<B: Board>(reader: Waker<Local>) {
    with(|line| {
        line.reader = Some(reader);
        line.let_through::<B>(|interrupts| interrupts.received = true);
    });
}

/// The next byte that was received.
pub(crate) fn receive<B: Board>() -> Option<u8> {
    with(|line| {
        if line.received.is_empty() && !line.interrupts.received {
            line.let_through::<B>(|interrupts| interrupts.received = true);
            // What came meanwhile need not make an interrupt.
            line.fill::<B>();
        }
        line.received.pop_front()
    })
}

/// Sends a byte if the line takes it. If not, an interrupt comes once it does.
///
/// # Errors
///
/// Gives the byte back.
pub(crate) fn send<B: Board>(byte: u8) -> Result<(), u8> {
    with(|line| {
        if !B::can_send() {
            line.let_through::<B>(|interrupts| interrupts.can_send = true);
            // If it takes one by now, there need not be an interrupt.
            if !B::can_send() {
                return Err(byte);
            }
        }
        B::send(byte);
        Ok(())
    })
}
