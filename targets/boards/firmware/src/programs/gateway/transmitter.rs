//! What is to be sent: whole lines, in a queue with a limit.

use core::{
    fmt::{self, Write},
    marker::PhantomData,
};

use heapless::{Deque, String};

use crate::{Board, line};

/// The longest line, with its end.
const LINE: usize = 512;

const QUEUE: usize = 1024;

/// Stands for what was left out.
const CUT: &str = "...";

/// One line to send, without its end.
#[derive(Default)]
pub(super) struct Message {
    text: String<{ LINE - CUT.len() - 1 }>,
    is_cut: bool,
}

impl Message {
    pub(super) fn of(what: fmt::Arguments<'_>) -> Self {
        let mut message = Message::default();
        // It takes everything, or cuts it.
        let _ = message.write_fmt(what);
        message
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        let cut = if self.is_cut { CUT } else { "" };
        self.text.bytes().chain(cut.bytes()).chain([b'\n'])
    }
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.is_cut |= self.is_cut || self.text.push(c).is_err();
        }
        Ok(())
    }
}

/// The line does not fit now. A state that waits is woken when more does.
#[derive(Debug)]
pub(super) struct NoRoom;

/// Lines on their way out.
pub(super) struct Transmitter<B> {
    bytes: Deque<u8, QUEUE>,
    /// A state waits for room.
    was_full: bool,
    board: PhantomData<B>,
}

impl<B: Board> Transmitter<B> {
    pub(super) fn new() -> Self {
        Transmitter {
            bytes: Deque::new(),
            was_full: false,
            board: PhantomData,
        }
    }

    /// Takes a line to send, or nothing of it.
    pub(super) fn say(&mut self, message: &Message) -> Result<(), NoRoom> {
        if message.bytes().count() > QUEUE - self.bytes.len() {
            self.was_full = true;
            return Err(NoRoom);
        }
        // There is room.
        let _ = message
            .bytes()
            .try_for_each(|byte| self.bytes.push_back(byte));
        Ok(())
    }

    /// Sends what the serial line takes without waiting. Returns whether there is room again for those that wait.
    pub(super) fn transmit(&mut self) -> bool {
        while let Some(byte) = self.bytes.front()
            && line::send::<B>(*byte).is_ok()
        {
            self.bytes.pop_front();
        }
        let has_room = self.was_full && self.bytes.len() <= QUEUE - LINE;
        self.was_full &= !has_room;
        has_room
    }
}
