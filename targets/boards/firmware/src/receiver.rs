//! Bytes from the serial line: the receive interrupt puts them into a queue and wakes the state that reads them.

use core::cell::RefCell;

use batchloop_core::{Local, Waker};
use critical_section::Mutex;
use heapless::Deque;

use crate::Board;

/// What the interrupt handler fills.
struct Receiver {
    bytes: Deque<u8, 128>,
    /// The queue was full, and the interrupt is held back until it has been read empty.
    is_deaf: bool,
    reader: Option<Waker<Local>>,
}

static RECEIVER: Mutex<RefCell<Receiver>> = Mutex::new(RefCell::new(Receiver {
    bytes: Deque::new(),
    is_deaf: false,
    reader: None,
}));

fn with<R>(work: impl FnOnce(&mut Receiver) -> R) -> R {
    critical_section::with(|cs| work(&mut RECEIVER.borrow_ref_mut(cs)))
}

impl Receiver {
    fn fill<B: Board>(&mut self) {
        while !self.bytes.is_full() {
            let Some(byte) = B::receive() else { return };
            // There is room.
            let _ = self.bytes.push_back(byte);
        }
        self.is_deaf = true;
        B::deafen();
    }
}

/// The handler of the serial line's receive interrupt.
pub fn on_receive<B: Board>() {
    let reader = with(|receiver| {
        receiver.fill::<B>();
        receiver.reader
    });
    if let Some(reader) = reader {
        // A reader that has ended needs no wake.
        let _ = reader.wake();
    }
}

/// Starts to receive, and names who is woken for it.
pub(crate) fn start<B: Board>(reader: Waker<Local>) {
    with(|receiver| receiver.reader = Some(reader));
    B::listen();
}

/// The next byte that was received.
pub(crate) fn next<B: Board>() -> Option<u8> {
    with(|receiver| {
        if receiver.is_deaf && receiver.bytes.is_empty() {
            receiver.is_deaf = false;
            B::listen();
            // What came meanwhile need not make an interrupt.
            receiver.fill::<B>();
        }
        receiver.bytes.pop_front()
    })
}
