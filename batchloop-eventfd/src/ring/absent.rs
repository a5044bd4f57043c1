//! What stands where io_uring does not: nothing that there could be one of.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use batchloop_core::Events;

#[cfg(feature = "uring")]
use crate::bell::OneRing;
use crate::{epoll::Wait, event_fd::EventFd, mark::Mark, received::Received};

#[derive(Debug)]
pub(crate) enum Ring {}

impl Ring {
    #[cfg(feature = "uring")]
    pub(crate) fn new(_: Arc<OwnedFd>, _: &'static OneRing<EventFd>) -> io::Result<Self> {
        let why = "batchloop has no io_uring on this architecture";
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        match *self {}
    }

    pub(crate) fn wait(&mut self, _: Wait) -> io::Result<bool> {
        match *self {}
    }

    pub(crate) fn news(&mut self) -> std::iter::Empty<(Mark, Events)> {
        match *self {}
    }

    pub(crate) fn is_quiet(&self) -> bool {
        match *self {}
    }

    pub(crate) fn host(&mut self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn lie_down(&mut self) -> bool {
        match *self {}
    }

    pub(crate) fn lingering(&self) -> usize {
        match *self {}
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}

#[derive(Debug)]
pub(crate) enum Shared {}

#[derive(Debug)]
pub(crate) enum Attached {}

impl Shared {
    pub(crate) fn has(&self, _: BorrowedFd<'_>) -> bool {
        match *self {}
    }

    pub(crate) fn remove(&self, _: BorrowedFd<'_>) -> bool {
        match *self {}
    }
}

impl Attached {
    pub(crate) fn new(shared: &Arc<Shared>, _: Arc<OwnedFd>, _: Mark, _: bool) -> io::Result<Self> {
        match **shared {}
    }

    pub(crate) fn descriptor(&self) -> Arc<OwnedFd> {
        match *self {}
    }

    pub(crate) fn is_of(&self, _: &Arc<Shared>) -> bool {
        match *self {}
    }

    pub(crate) fn is_usable(&self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn take_up(&self, _: Mark) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn receive(&self, _: &mut [u8]) -> io::Result<Option<Received>> {
        match *self {}
    }

    pub(crate) fn send(&self, _: &[u8]) -> io::Result<Option<usize>> {
        match *self {}
    }

    pub(crate) fn end(&self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn check(&self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn may_receive(&self) -> bool {
        match *self {}
    }
}

/// Without rings, no stream has been in one.
#[derive(Debug, Default)]
pub(crate) struct Past {}

impl Past {
    pub(crate) fn is_empty(&self) -> bool {
        true
    }

    pub(crate) fn add(&mut self, attached: Attached) {
        match attached {}
    }

    pub(crate) fn is_usable(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn lead_to_ring(&self, next: &Attached) -> io::Result<()> {
        match *next {}
    }

    pub(crate) fn lead_to_epoll(&self, _: Arc<EventFd>) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn receive(&mut self, _: &mut [u8]) -> Option<io::Result<Received>> {
        None
    }

    pub(crate) fn may_receive(&self) -> Option<bool> {
        None
    }

    pub(crate) fn has_sent(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    pub(crate) fn end(&self) -> Option<io::Result<()>> {
        None
    }

    pub(crate) fn check(&self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Attached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}
