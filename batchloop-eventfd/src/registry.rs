//! Which file descriptors of a machine's states a multiplexer listens to.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use batchloop_core::{Events, Token};
use rustix::event::epoll::{self, EventData, EventFlags};

use crate::{epoll::interest, ring::Shared, stream::Stream};

/// What an event belongs to, in the 64 bits that the kernel carries:
///
/// ```text
///   63            32 31     24 23             0
///  │ version        │ machine │ slot           │   a state
///  │ producer       │   255   │ 0              │   a producer; the last number is the bell
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    State(u8, Token),
    Producer(u32),
}

impl Mark {
    const SLOT_BITS: u32 = 24;
    const MACHINE: u64 = 0xff << Self::SLOT_BITS;

    /// How many slots a machine may have.
    pub(crate) const SLOTS: usize = 1 << Self::SLOT_BITS;
    /// How many machines there may be.
    pub(crate) const MACHINES: usize = 255;
    pub(crate) const BELL: Mark = Mark::Producer(u32::MAX);

    pub(crate) fn to_data(self) -> EventData {
        EventData::new_u64(match self {
            Mark::State(machine, token) => {
                token.to_u64() & !Self::MACHINE | u64::from(machine) << Self::SLOT_BITS
            }
            Mark::Producer(producer) => u64::from(producer) << 32 | Self::MACHINE,
        })
    }

    pub(crate) fn from_data(data: EventData) -> Self {
        let data = data.u64();
        match (data & Self::MACHINE) >> Self::SLOT_BITS {
            0xff => Mark::Producer((data >> 32) as u32),
            machine => Mark::State(machine as u8, Token::from_u64(data & !Self::MACHINE)),
        }
    }
}

/// Where the file descriptors of one machine's states are registered.
///
/// [`Multiplexer::add`](crate::Multiplexer::add) makes it. It does not know the machine's type, so a sub-machine that
/// opens descriptors can have it and still be compiled once. Copies are of the same one, and may go to other threads.
///
/// A token of another machine is taken for one of this machine: the event then wakes the wrong state, spuriously, or
/// none.
#[derive(Clone, Debug)]
pub struct Registry {
    epoll: Arc<OwnedFd>,
    ring: Option<Arc<Shared>>,
    machine: u8,
}

impl Registry {
    pub(crate) fn new(epoll: Arc<OwnedFd>, ring: Option<Arc<Shared>>, machine: u8) -> Self {
        Registry {
            epoll,
            ring,
            machine,
        }
    }

    /// Registers a state's stream, which is connected: with the multiplexer's io_uring if it has one, or else as
    /// [`add`](Self::add) does.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add); and the multiplexer is no more.
    pub fn attach(&self, stream: &mut Stream, state: Token) -> io::Result<()> {
        match &self.ring {
            Some(ring) => stream.attach(ring, Mark::State(self.machine, state)),
            None => self.add(&*stream, state),
        }
    }

    /// Registers a state's file descriptor, edge-triggered in both directions, until it is closed.
    ///
    /// The state is [`Me::token`](batchloop_core::Me::token). The descriptor must be non-blocking, and be closed no
    /// later than the state ends; a duplicate of it that stays open keeps the registration, whose events are then
    /// stale.
    ///
    /// # Errors
    ///
    /// The kernel's: no memory, too many registrations, or a descriptor that cannot be polled, such as a file.
    pub fn add(&self, fd: impl AsFd, state: Token) -> io::Result<()> {
        let flags = interest(Events::READABLE | Events::WRITABLE);
        epoll::add(&*self.epoll, fd, self.mark(state), flags)?;
        Ok(())
    }

    /// As [`add`](Self::add), for one event: afterwards nothing more is reported until
    /// [`listen_again`](Self::listen_again).
    ///
    /// For states that several workers share, so that one of them at a time hears of a descriptor. `events` are those to
    /// wait for, readable or writable or both; the other side's end is always one.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn add_once(&self, fd: impl AsFd, state: Token, events: Events) -> io::Result<()> {
        let flags = interest(events) | EventFlags::ONESHOT;
        epoll::add(&*self.epoll, fd, self.mark(state), flags)?;
        Ok(())
    }

    /// Waits for one more event of a descriptor that was registered with [`add_once`](Self::add_once). What is so
    /// already is reported too.
    ///
    /// # Errors
    ///
    /// The kernel's: no memory, or a descriptor that is not registered.
    pub fn listen_again(&self, fd: impl AsFd, state: Token, events: Events) -> io::Result<()> {
        let flags = interest(events) | EventFlags::ONESHOT;
        epoll::modify(&*self.epoll, fd, self.mark(state), flags)?;
        Ok(())
    }

    /// Ends a registration before its descriptor is closed: to give the descriptor to somebody else, say.
    ///
    /// # Errors
    ///
    /// The kernel's: a descriptor that is not registered.
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        epoll::delete(&*self.epoll, fd)?;
        Ok(())
    }

    fn mark(&self, state: Token) -> EventData {
        Mark::State(self.machine, state).to_data()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn marks_come_back_as_they_went() {
        let tokens = [0x0000_0001_0000_0000, 0xffff_ffff_00ff_ffff].map(Token::from_u64);
        for mark in tokens
            .iter()
            .flat_map(|token| [0, 254].map(|machine| Mark::State(machine, *token)))
            .chain([Mark::Producer(0), Mark::Producer(7), Mark::BELL])
        {
            assert_eq!(Mark::from_data(mark.to_data()), mark);
        }
    }
}
