//! Which file descriptors a poller listens to.

use std::{
    cell::{Cell, RefCell},
    fmt, io,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
};

use batchloop_core::Token;
use rustix::event::epoll;

/// Marks what is not a state: a token's slot has 31 bits, and this is the 32nd.
pub(crate) const NOT_A_STATE: u64 = 1 << 31;

/// Where file descriptors are registered with a [`Poller`](crate::Poller). Copies are of the same one.
#[derive(Clone)]
pub struct Registry {
    epoll: Rc<OwnedFd>,
    producers: Rc<RefCell<Vec<Rc<Cell<bool>>>>>,
}

impl Registry {
    pub(crate) fn new(epoll: OwnedFd) -> Self {
        Registry {
            epoll: Rc::new(epoll),
            producers: Rc::default(),
        }
    }

    pub(crate) fn epoll(&self) -> &OwnedFd {
        &self.epoll
    }

    /// Answers whether there is such a producer.
    pub(crate) fn make_ready(&self, producer: usize) -> bool {
        match self.producers.borrow().get(producer) {
            Some(ready) => {
                ready.set(true);
                true
            }
            None => false,
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
        use epoll::EventFlags;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        self.register(fd, state.to_u64(), flags)
    }

    /// Registers a descriptor that belongs to no state: a listener, a pipe that signals come through. When it becomes
    /// readable, the [`Producer`] is ready and the next turn is due.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn add_producer(&self, fd: impl AsFd) -> io::Result<Producer> {
        let mut producers = self.producers.borrow_mut();
        let mark = NOT_A_STATE | producers.len() as u64;
        self.register(fd, mark, epoll::EventFlags::IN | epoll::EventFlags::ET)?;
        let ready = Rc::new(Cell::new(false));
        producers.push(Rc::clone(&ready));
        Ok(Producer { ready })
    }

    fn register(&self, fd: impl AsFd, data: u64, flags: epoll::EventFlags) -> io::Result<()> {
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(data), flags)?;
        Ok(())
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({:?})", self.epoll)
    }
}

/// A source of work that belongs to no state yet.
///
/// It stays ready until the program says that the source is empty: the kernel reports an edge once.
#[derive(Clone, Debug)]
pub struct Producer {
    ready: Rc<Cell<bool>>,
}

impl Producer {
    /// Whether the source may have something.
    pub fn is_ready(&self) -> bool {
        self.ready.get()
    }

    /// The source said that it would block: wait for the next edge.
    pub fn exhausted(&self) {
        self.ready.set(false);
    }
}
