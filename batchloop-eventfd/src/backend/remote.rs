//! What a registry has of a backend, perhaps on another thread, and perhaps when the backend has been dropped.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    sync::{Arc, Weak},
};

#[cfg(io_uring)]
use rustix::event::epoll;

#[cfg(io_uring)]
use crate::ring::SharedConnections;
use crate::{
    ground::{gone::gone, mark::Mark},
    stream::Stream,
};

#[derive(Clone, Debug)]
pub(crate) enum Remote {
    Epoll(Weak<OwnedFd>),
    #[cfg(io_uring)]
    Uring(Weak<OwnedFd>, Arc<SharedConnections>),
}

impl Remote {
    /// The epoll instance. Fails if the backend has been dropped.
    pub(crate) fn epoll(&self) -> io::Result<Arc<OwnedFd>> {
        let epoll = match self {
            Remote::Epoll(epoll) => epoll.upgrade(),
            #[cfg(io_uring)]
            Remote::Uring(epoll, _) => epoll.upgrade(),
        };
        epoll.ok_or_else(gone)
    }

    /// Attaches a stream, wherever it is attached by now. The mark is told what is ready.
    pub(crate) fn attach(&self, stream: &mut Stream, mark: Mark) -> io::Result<()> {
        let epoll = self.epoll()?;
        match self {
            Remote::Epoll(_) => stream.attach_to_epoll(&epoll, mark),
            #[cfg(io_uring)]
            Remote::Uring(_, connections) => {
                stream.attach_to_ring(connections, mark)?;
                stream.tell(mark)?;
                // It may have been added with its descriptor alone.
                let _ = epoll::delete(&*epoll, &*stream);
                Ok(())
            }
        }
    }

    /// As [`attach`](Self::attach), for a stream that is registered nowhere.
    pub(crate) fn attach_new(&self, stream: &mut Stream, mark: Mark) -> io::Result<()> {
        match self {
            Remote::Epoll(_) => self.attach(stream, mark),
            #[cfg(io_uring)]
            Remote::Uring(_, connections) => stream.attach_to_ring(connections, mark),
        }
    }

    /// Whether a descriptor is that of an attached stream, and is not registered with epoll.
    pub(crate) fn has_attached(&self, fd: BorrowedFd<'_>) -> bool {
        match (self, fd) {
            (Remote::Epoll(_), _) => false,
            #[cfg(io_uring)]
            (Remote::Uring(_, connections), fd) => connections.has(fd),
        }
    }

    /// Takes such a descriptor from its stream. Returns whether it was one.
    pub(crate) fn detach(&self, fd: BorrowedFd<'_>) -> bool {
        match (self, fd) {
            (Remote::Epoll(_), _) => false,
            #[cfg(io_uring)]
            (Remote::Uring(_, connections), fd) => connections.remove(fd),
        }
    }
}
