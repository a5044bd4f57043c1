//! What becomes of a connection whose stream goes to another ring, or to none.
//!
//! The old ring has operations under way. It lets them end, and keeps what they bring, which the stream takes before
//! anything else. It also sends what it has been given. As soon as it is through with one direction, it tells the
//! successor, which leaves that direction alone until then: so bytes come and go in order.

use std::{io, sync::Arc};

use super::{attached::Attached, successor::Successor};
use crate::ground::{event_fd::EventFd, received::Received};

/// Rings in which a stream's connection has been, and which are not through with it. The last one is the latest.
#[derive(Debug, Default)]
pub(crate) struct Past {
    rings: Vec<Attached>,
}

impl Past {
    pub(crate) fn is_empty(&self) -> bool {
        self.rings.is_empty()
    }

    /// A connection leaves its ring, with no successor yet.
    pub(crate) fn add(&mut self, attached: Attached) {
        // A ring that has been dropped is asked when it has something to say.
        let _ = attached.leave(None);
        self.rings.push(attached);
    }

    /// Fails if the ring that the connection was in last has been dropped before it let go of it.
    pub(crate) fn is_usable(&self) -> io::Result<()> {
        self.rings.last().map_or(Ok(()), Attached::is_usable)
    }

    /// The connection's new ring is told when it may begin.
    pub(crate) fn lead_to_ring(&self, next: &Attached) -> io::Result<()> {
        self.lead_to(next.as_successor())
    }

    /// The connection's new state is told when it may begin, and what there is to be taken from here.
    pub(crate) fn lead_to_epoll(&self, herald: Arc<EventFd>) -> io::Result<()> {
        self.lead_to(Successor::Epoll(herald))
    }

    fn lead_to(&self, successor: Successor) -> io::Result<()> {
        match self.rings.last() {
            Some(last) => last.leave(Some(successor)),
            None => Ok(()),
        }
    }

    /// Receives what the rings have received. None if they have nothing any more, nor will have.
    pub(crate) fn receive(&mut self, room: &mut [u8]) -> Option<io::Result<Received>> {
        let answer = self.rings.iter().find_map(|ring| ring.pull(room));
        if answer.is_none() {
            self.forget();
        }
        answer
    }

    /// Whether a receive may bring something before the next event. None if these rings do not decide it.
    pub(crate) fn may_receive(&self) -> Option<bool> {
        self.rings.iter().find_map(Attached::may_pull)
    }

    /// Whether all that was to be sent before is with the kernel.
    pub(crate) fn has_sent(&mut self) -> io::Result<bool> {
        let has_sent = self.rings.last().map_or(Ok(true), Attached::has_sent)?;
        if has_sent {
            self.forget();
        }
        Ok(has_sent)
    }

    /// Ends the sending after what is to be sent before. None if there is no such thing.
    pub(crate) fn end(&self) -> Option<io::Result<()>> {
        let last = self.rings.last()?;
        match last.has_sent() {
            Ok(true) => None,
            Ok(false) => Some(last.end()),
            Err(error) => Some(Err(error)),
        }
    }

    pub(crate) fn check(&self) -> io::Result<()> {
        self.rings.iter().try_for_each(Attached::check_rest)
    }

    fn forget(&mut self) {
        self.rings.retain(|ring| !ring.is_through());
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
