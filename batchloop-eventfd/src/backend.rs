//! What a multiplexer waits with: epoll alone, or an io_uring that waits for epoll too.
//!
//! A backend collects what has happened to descriptors and streams, as marks and events. It knows no machines, and it posts
//! nothing: that is the multiplexer's. It does not decide when a thread sleeps, either.
//!
//! # What each must do
//!
//! * `epoll` is an epoll instance. What is registered with it is the backend's to tell of. It lives as long as the
//!   backend.
//! * `wait` collects what has happened, behind what was collected before and is not delivered. If there is nothing, it
//!   waits as long as it is told; it may return early, with nothing. What has happened before it was called is never
//!   waited past, even if it was more than one system call reports. A signal handler that has run ends the wait: the
//!   program may want to look at what it left. What is there by then is collected all the same, because a deadline that
//!   has passed must not come before what was in time.
//! * `is_quiet` says whether nothing is collected.
//! * `deliver` hands out what is collected, once each, in the order in which it was collected from one source.
//! * `enable_notify` lets the backend's descriptor be readable whenever `wait` would bring something. It is called before
//!   each wait of a thread that sleeps elsewhere.
//! * `prepare_sleep` is called when such a thread has seen that all is quiet. It returns whether the thread may sleep: then
//!   whatever happens from now on makes a new edge of the descriptor. If not, `wait` brings something, or has something
//!   to submit.
//! * `lingering` counts the streams that have been dropped and still have bytes to send.
//! * `remote` is the part that attaches streams. It may be used on any thread, and must say when the backend has been
//!   dropped.

mod epoll;
mod remote;
#[cfg(io_uring)]
mod uring;

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use batchloop_core::Events;

#[cfg(feature = "uring")]
use crate::ground::{bell::OneRing, event_fd::EventFd};
use crate::ground::{mark::Mark, wait::Wait};
#[cfg(all(test, not(loom)))]
pub(crate) use epoll::EVENTS_AT_ONCE;
use epoll::Epoll;
pub(crate) use remote::Remote;
#[cfg(io_uring)]
use uring::Uring;

pub(crate) enum Backend {
    Epoll(Epoll),
    #[cfg(io_uring)]
    Uring(Box<Uring>),
}

/// Calls a method of the backend that it is.
macro_rules! of {
    ($backend:expr, $method:ident($($argument:expr),*)) => {
        match $backend {
            Backend::Epoll(epoll) => epoll.$method($($argument),*),
            #[cfg(io_uring)]
            Backend::Uring(uring) => uring.$method($($argument),*),
        }
    };
}

impl Backend {
    pub(crate) fn on_epoll() -> io::Result<Self> {
        Ok(Backend::Epoll(Epoll::new()?))
    }

    /// Streams in other threads ring the bell where the thread sleeps and has something to submit.
    #[cfg(io_uring)]
    pub(crate) fn on_uring(bell: &'static OneRing<EventFd>) -> io::Result<Self> {
        Ok(Backend::Uring(Box::new(Uring::new(bell)?)))
    }

    #[cfg(all(feature = "uring", not(io_uring)))]
    pub(crate) fn on_uring(_: &'static OneRing<EventFd>) -> io::Result<Self> {
        let why = "batchloop has no io_uring on this architecture";
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }

    #[cfg(all(test, io_uring))]
    pub(crate) fn ring(&mut self) -> &mut crate::ring::Ring {
        match self {
            Backend::Epoll(_) => panic!("it is on epoll"),
            Backend::Uring(uring) => uring.ring(),
        }
    }

    pub(crate) fn epoll(&self) -> &Arc<OwnedFd> {
        of!(self, epoll())
    }

    pub(crate) fn wait(&mut self, how: Wait) -> io::Result<()> {
        of!(self, wait(how))
    }

    pub(crate) fn is_quiet(&self) -> bool {
        of!(self, is_quiet())
    }

    pub(crate) fn deliver(&mut self, to: impl FnMut(Mark, Events)) {
        of!(self, deliver(to))
    }

    pub(crate) fn enable_notify(&mut self) -> io::Result<()> {
        of!(self, enable_notify())
    }

    pub(crate) fn prepare_sleep(&mut self) -> bool {
        of!(self, prepare_sleep())
    }

    pub(crate) fn lingering(&self) -> usize {
        of!(self, lingering())
    }

    pub(crate) fn remote(&self) -> Remote {
        let epoll = Arc::downgrade(self.epoll());
        match self {
            Backend::Epoll(_) => Remote::Epoll(epoll),
            #[cfg(io_uring)]
            Backend::Uring(uring) => Remote::Uring(epoll, uring.connections()),
        }
    }
}

impl AsFd for Backend {
    fn as_fd(&self) -> BorrowedFd<'_> {
        of!(self, as_fd())
    }
}
