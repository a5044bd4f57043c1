//! A stream socket that knows what its edges have said.
//!
//! This layer sends and receives, and takes streams from one way to the other. It waits for nothing, and is told of events
//! by the program.

mod direct;
#[cfg(io_uring)]
mod ringed;

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use batchloop_core::{Access, Events, Me};

use crate::ground::{mark::Mark, received::Received};
#[cfg(io_uring)]
use crate::ring::SharedConnections;
use direct::Direct;
#[cfg(io_uring)]
use ringed::Ringed;

/// A non-blocking stream socket, and what is known of its readiness between two edges.
///
/// An edge-triggered descriptor is used until it would block, and the cheapest way to learn that it would block is to infer it:
/// a receive that did not fill its room has emptied the socket, unless the peer's end or urgent data came with it,
/// which the edge has said. So an exchange of a request and an answer costs two system calls, and nothing is missed.
///
/// A closure that uses the stream lets it take its events first, by [`note`](Self::note), and then uses it until it returns
/// [`Received::Nothing`], or sends less than it was given. A closure that does not use the stream leaves them: they stay
/// posted until one does. See the crate's example.
///
/// Where a multiplexer has an io_uring, a stream that is [attached](crate::Registry::attach) goes through it, in the same
/// way for the program. What is sent is then under way when the driver's turn is over.
#[derive(Debug)]
pub struct Stream {
    way: Way,
}

/// How bytes come and go. Each way has the same methods, with the meaning that [`Stream`]'s have.
#[derive(Debug)]
enum Way {
    /// By system calls on the socket, which may be registered with epoll.
    Direct(Direct),
    /// By a ring, now or before.
    #[cfg(io_uring)]
    Ringed(Box<Ringed>),
}

/// Calls a method of the stream's way.
macro_rules! by {
    ($way:expr, $method:ident($($argument:expr),*)) => {
        match $way {
            Way::Direct(direct) => direct.$method($($argument),*),
            #[cfg(io_uring)]
            Way::Ringed(ringed) => ringed.$method($($argument),*),
        }
    };
}

impl Stream {
    /// A connected socket that does not block, such as [`Listener`](crate::Listener) makes.
    ///
    /// Nothing is received before the first edge, which comes when the socket is registered, if there is something.
    pub fn new(socket: impl Into<OwnedFd>) -> Self {
        Stream {
            way: Way::Direct(Direct::new(socket.into())),
        }
    }

    /// Is registered with epoll from now on.
    pub(crate) fn attach_to_epoll(&mut self, epoll: &Arc<OwnedFd>, mark: Mark) -> io::Result<()> {
        by!(&mut self.way, attach_to_epoll(epoll, mark))
    }

    /// Goes through a ring from now on.
    #[cfg(io_uring)]
    pub(crate) fn attach_to_ring(
        &mut self,
        ring: &Arc<SharedConnections>,
        mark: Mark,
    ) -> io::Result<()> {
        match &mut self.way {
            Way::Direct(direct) => {
                let ringed = Ringed::new(direct, ring, mark)?;
                self.way = Way::Ringed(Box::new(ringed));
                Ok(())
            }
            Way::Ringed(ringed) => ringed.attach_to_ring(ring, mark),
        }
    }

    /// Lets its state know what is ready in a ring, as epoll does when a descriptor is registered.
    #[cfg(io_uring)]
    pub(crate) fn tell(&self, mark: Mark) -> io::Result<()> {
        match &self.way {
            Way::Direct(_) => Ok(()),
            Way::Ringed(ringed) => ringed.tell(mark),
        }
    }

    /// Takes note of what has happened to the socket: of a closure's `me` it takes the events of descriptors and leaves the
    /// deadline.
    ///
    /// Events as such, as [`Me::events`](batchloop_core::Me::events) returns them, will do too. But they stay posted, and
    /// the stream is asked once more than needed.
    #[inline]
    pub fn note(&mut self, posted: impl Posted) {
        by!(&mut self.way, note(posted.taken()));
    }

    /// Receives what there is, as far as there is room. Room of no bytes receives nothing.
    ///
    /// # Errors
    ///
    /// The kernel's, such as a reset; the connection is at its end.
    pub fn receive(&mut self, room: &mut [u8]) -> io::Result<Received> {
        by!(&mut self.way, receive(room))
    }

    /// Sends as much as fits, and returns how much that was. If it is less than was given, an edge tells when there is
    /// room.
    ///
    /// # Errors
    ///
    /// The kernel's, such as a reset; the connection is at its end.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        by!(&mut self.way, send(bytes))
    }

    /// Says that nothing more will be sent; the other direction stays open.
    ///
    /// # Errors
    ///
    /// The kernel's: the connection has ended already.
    pub fn end(&self) -> io::Result<()> {
        by!(&self.way, end())
    }

    /// Fails if the connection is broken, such as by a reset, though nothing is received or sent.
    ///
    /// For a state that neither receives nor sends for the moment, and was told of an event.
    ///
    /// # Errors
    ///
    /// What a receive, after all that has come before, or a send would fail with.
    pub fn check(&mut self) -> io::Result<()> {
        by!(&mut self.way, check())
    }

    /// Whether [`receive`](Self::receive) may bring something before the next edge.
    pub fn may_receive(&self) -> bool {
        by!(&self.way, may_receive())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        by!(&self.way, as_fd())
    }
}

/// Where a [`Stream`] takes its events from: a closure's [`Me`], or [`Events`] that are known already. This trait is
/// sealed.
pub trait Posted: sealed::Sealed {
    #[doc(hidden)]
    fn taken(self) -> Events;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for batchloop_core::Events {}
    impl<U, A: batchloop_core::Access> Sealed for batchloop_core::Me<U, A> {}
}

impl Posted for Events {
    fn taken(self) -> Events {
        self
    }
}

impl<U, A: Access> Posted for Me<U, A> {
    fn taken(self) -> Events {
        self.take(Events::READABLE | Events::WRITABLE | Events::CLOSED)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use batchloop_core::{Capacity, Machine, Step, Turn, point};

    use super::*;

    #[test]
    fn a_stream_takes_the_events_of_descriptors_and_leaves_the_deadline() {
        let machine: Machine<u8> = Machine::heap(Capacity::slots(1));
        let mut driver = machine.driver().unwrap();
        let state = machine.allocate(0).unwrap();
        let descriptors = Events::READABLE | Events::WRITABLE | Events::CLOSED;
        let entry = |cx: &mut Turn<'_, u8>| {
            let new = cx.arrivals();
            cx.stage(point!("wait"), new).advance(|runs, me| {
                *runs += 1;
                if *runs == 2 {
                    assert_eq!(me.taken(), descriptors);
                    assert_eq!(me.take_events(), Events::DEADLINE);
                }
                Step::Wait
            });
        };
        driver.turn(entry).unwrap();
        let posted = descriptors | Events::DEADLINE;
        machine.post_token(state.token(), posted).unwrap();
        driver.turn(entry).unwrap();
        let mut runs = 0;
        let looked = machine.signal(state, |state| {
            runs = *state;
            batchloop_core::Reaction::Ignore
        });
        assert!(looked.is_ok());
        assert_eq!(runs, 2);
    }
}
