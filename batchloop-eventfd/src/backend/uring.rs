//! Waiting with an io_uring, which waits for epoll too.

use std::{
    io, mem,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use batchloop_core::Events;

use super::epoll::Epoll;
use crate::{
    ground::{bell::OneRing, event_fd::EventFd, mark::Mark, wait::Wait},
    ring::{Ring, SharedConnections},
};

pub(crate) struct Uring {
    epoll: Epoll,
    ring: Ring,
    /// Whether epoll may have more events, of which the ring does not tell.
    has_more: bool,
}

impl Uring {
    pub(super) fn new(bell: &'static OneRing<EventFd>) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        Ok(Uring {
            ring: Ring::new(Arc::clone(epoll.epoll()), bell)?,
            epoll,
            has_more: false,
        })
    }

    #[cfg(test)]
    pub(super) fn ring(&mut self) -> &mut Ring {
        &mut self.ring
    }

    pub(super) fn connections(&self) -> Arc<SharedConnections> {
        self.ring.connections()
    }

    pub(super) fn epoll(&self) -> &Arc<OwnedFd> {
        self.epoll.epoll()
    }

    pub(super) fn wait(&mut self, how: Wait) -> io::Result<()> {
        // The ring tells of epoll's events once, however many they are.
        let has_more = mem::take(&mut self.has_more);
        let how = if has_more { Wait::Not } else { how };
        if self.ring.wait(how)? || has_more {
            self.epoll.wait(Wait::Not)?;
            self.has_more = self.epoll.is_full();
        }
        Ok(())
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.epoll.is_quiet() && self.ring.is_quiet()
    }

    pub(super) fn deliver(&mut self, mut to: impl FnMut(Mark, Events)) {
        self.epoll.deliver(&mut to);
        for (mark, events) in self.ring.events() {
            to(mark, events);
        }
    }

    pub(super) fn enable_notify(&mut self) -> io::Result<()> {
        self.ring.enable_notify()?;
        // What waits for its descriptor must find epoll empty, whether the ring has told of it or not.
        self.has_more = true;
        Ok(())
    }

    pub(super) fn prepare_sleep(&mut self) -> bool {
        self.ring.prepare_sleep()
    }

    pub(super) fn lingering(&self) -> usize {
        self.ring.lingering()
    }
}

impl AsFd for Uring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}
