//! What stands where io_uring does not: nothing that there could be one of.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use batchloop_core::Events;

#[cfg(feature = "uring")]
use crate::{bell::OneRing, event_fd::EventFd};
use crate::{epoll::Wait, registry::Mark, stream::Received};

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

impl Attached {
    pub(crate) fn new(shared: &Arc<Shared>, _: Arc<OwnedFd>, _: Mark) -> io::Result<Self> {
        match **shared {}
    }

    pub(crate) fn receive(&self, _: &mut [u8]) -> io::Result<Received> {
        match *self {}
    }

    pub(crate) fn send(&self, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(crate) fn end(&self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn may_receive(&self) -> bool {
        match *self {}
    }
}

impl AsFd for Attached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}
