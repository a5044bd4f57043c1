//! One io_uring for all streams of a thread: what a turn's closures send is queued, and one system call submits it all
//! and waits.
//!
//! Each attached connection has one receive under way, which brings what comes in buffers that all connections share.
//! Before each wait, buffers go back to the kernel: what was not taken until then is copied. A receive brings no more than
//! a buffer holds, at once or message by message, and the next one begins when all of that has been taken. So no client can
//! keep buffers from the others, nor the memory that a flood of bytes would need. Where a receive does not tell of ends and
//! errors, a watch does.
//!
//! What is sent is copied, too, and is the ring's until the kernel is through with it. It is first sent as far as it fits
//! at once, which ends while it is submitted and is not reported: so a wait is for what is new only. What does not fit is sent in
//! a second operation.
//!
//! A stream that is dropped meanwhile frees its state's slot at once: the connection stays behind until its operations
//! have ended, and is named in them by its row and generation. One that goes elsewhere is let go of in the same way:
//! see `past`.
//!
//! All that epoll waits for, it still does: the ring waits for the epoll instance.
//!
//! # The files
//!
//! A byte that is sent goes down, one that is received goes up:
//!
//! * `past`: rings that a stream's connection was in before;
//! * `attached`: a stream's end of a connection;
//! * `connections`: all connections of a ring, behind a lock, and what each of them has to say;
//! * `connection`: the state machine of one, which knows no ring: what it plans, what it makes of completions;
//! * `operation`, `successor`, `name`, `buffers`: what the kernel is asked to do, what a connection is told when another
//!   ring lets go of it, what it is called, where its bytes lie;
//! * `operations`: the kernel's queues; `multishot`: what this kernel can do.
//!
//! The ring itself, in this file, is the thread's side of it.
//!
//! # Rules
//!
//! What the kernel does to memory is not seen by the compiler. These rules make it sound:
//!
//! * **K1.** Memory that an operation refers to is on the heap, and lives until the operation's last completion has been
//!   seen. A ring that is dropped ends all of them first, and leaks the memory if it cannot.
//! * **K2.** A receive buffer belongs to the kernel, until a completion names it; then to the one [`Lent`] that stands
//!   for it, until that is given back.
//! * **K3.** The bytes of a send are not changed, moved or dropped from when it is queued until its completion. A send with
//!   `MSG_DONTWAIT` never waits: where its success is not reported, it is complete when the kernel has taken its entry
//!   from the queue and a failure would have been reported.
//! * **K4.** An entry of the queue is `struct io_uring_sqe`: 64 bytes, of which any are valid, with the limit of a receive
//!   at the 44th.
//!
//! [`Lent`]: buffers::Lent

mod attached;
mod buffers;
mod connection;
mod connections;
mod multishot;
mod name;
mod operation;
mod operations;
mod past;
mod successor;

use std::{
    io, mem,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::event::epoll::{CreateFlags, EventData, EventFlags, add, create};

use crate::ground::{bell::OneRing, event_fd::EventFd, readiness::translate, wait::Wait};

pub(crate) use attached::Attached;
use connection::Arrival;
pub(crate) use connections::SharedConnections;
use connections::{Connections, MarkedEvents};
use operations::{Completion, Kind, Operations, WaitEnd};
pub(crate) use past::Past;

/// What has been completed, beside what states should know.
struct Collected {
    /// Epoll has something.
    epoll: bool,
    /// Something that the thread should look at.
    is_new: bool,
}

/// The thread's side.
pub(crate) struct Ring {
    operations: Operations,
    shared: Arc<SharedConnections>,
    epoll: Arc<OwnedFd>,
    waits_for_epoll: bool,
    /// What another library's loop waits for: the next two. The ring's own descriptor does not do, because it is not
    /// readable while what has ended waits for this thread to enter the kernel.
    front: OwnedFd,
    /// Readable when an operation has ended.
    notice: EventFd,
    notifies: bool,
    events: Vec<MarkedEvents>,
}

impl Ring {
    pub(crate) fn new(epoll: Arc<OwnedFd>, bell: &'static OneRing<EventFd>) -> io::Result<Self> {
        let operations = Operations::new()?;
        let shared = Arc::new(SharedConnections::new(bell));
        // SAFETY: K1: the ring ends all operations before it lets go of what it shares, or never does.
        unsafe { operations.receive_into(&shared.lock().buffers)? };
        let (front, notice) = (create(CreateFlags::CLOEXEC)?, EventFd::new()?);
        add(&front, &notice, EventData::new_u64(0), EventFlags::IN)?;
        add(&front, &*epoll, EventData::new_u64(1), EventFlags::IN)?;
        let mut ring = Ring {
            operations,
            shared,
            epoll,
            waits_for_epoll: false,
            front,
            notice,
            notifies: false,
            events: Vec::new(),
        };
        ring.try_multishot()?;
        Ok(ring)
    }

    /// Its connections, for the streams that are attached.
    pub(crate) fn connections(&self) -> Arc<SharedConnections> {
        Arc::clone(&self.shared)
    }

    /// Submits what is queued, and waits as long as it is told. Returns whether epoll has something.
    pub(crate) fn wait(&mut self, wait: Wait) -> io::Result<bool> {
        loop {
            self.queue_plans(wait != Wait::Not);
            // What states should know already does not wait.
            let how = if self.is_quiet() { wait } else { Wait::Not };
            let entered = self.operations.enter(how)?;
            let collected = self.collect();
            let is_over = wait == Wait::Not || entered == WaitEnd::Over;
            if is_over || collected.is_new || !self.events.is_empty() {
                return Ok(collected.epoll);
            }
        }
    }

    /// Takes what has happened to states' connections.
    pub(crate) fn events(&mut self) -> impl Iterator<Item = MarkedEvents> + '_ {
        self.events.drain(..)
    }

    /// Whether nothing has happened to them.
    pub(crate) fn is_quiet(&self) -> bool {
        self.events.is_empty()
    }

    /// What happens from now on makes its descriptor readable.
    pub(crate) fn enable_notify(&mut self) -> io::Result<()> {
        if !self.notifies {
            self.operations.notify(&self.notice)?;
            self.notifies = true;
        }
        Ok(())
    }

    /// Arms the bell for what is queued from now on, and lets the descriptor be readable when something has happened. Returns
    /// `false` if there is something already.
    pub(crate) fn prepare_sleep(&mut self) -> bool {
        self.notice.drain();
        // Looked for after the notice of it may have been taken.
        if !self.operations.is_quiet() {
            return false;
        }
        let mut connections = self.shared.lock();
        connections.sleeps = !connections.has_work();
        connections.sleeps
    }

    /// Connections without a stream, whose last bytes are being sent.
    pub(crate) fn lingering(&self) -> usize {
        self.shared.lock().abandoned()
    }

    fn queue_plans(&mut self, sleeps: bool) {
        let mut connections = self.shared.lock();
        self.events.extend(connections.events());
        connections.sleeps = sleeps && self.events.is_empty();
        connections.plan(|name, fd, operation| {
            // SAFETY: K1, K3: the connection keeps what it sends until the completion.
            unsafe { self.operations.add(name, fd, operation) };
        });
        drop(connections);
        if !self.waits_for_epoll {
            self.operations.add_epoll(&*self.epoll);
            self.waits_for_epoll = true;
        }
    }

    /// Takes what has been completed.
    fn collect(&mut self) -> Collected {
        let mut epoll = false;
        let has_ended = self.shared.work(|connections| {
            connections.sleeps = false;
            for completion in self.operations.completed() {
                let Completion {
                    kind,
                    name,
                    outcome,
                    goes_on,
                    buffer,
                    has_more,
                } = completion;
                let events = match kind {
                    Kind::Receive => {
                        let bytes = outcome.unwrap_or(0);
                        let lent = buffer.map(|number| {
                            // SAFETY: K2: this is the completion.
                            unsafe { connections.buffers.taken(number, bytes) }
                        });
                        let received = Arrival {
                            outcome,
                            lent,
                            has_more,
                            goes_on,
                        };
                        connections.received(name, received)
                    }
                    Kind::Send | Kind::UnreportedSend => connections.sent(name, outcome),
                    Kind::Watch => {
                        let seen = outcome.map(EventFlags::from_bits_truncate).map(translate);
                        connections.watched(name, seen, goes_on)
                    }
                    Kind::Epoll => {
                        self.waits_for_epoll = goes_on;
                        epoll = true;
                        None
                    }
                    Kind::Cancel => None,
                };
                self.events.extend(events);
            }
            if self.operations.is_submitted() {
                connections.submitted();
            }
            self.events.extend(connections.events());
            connections.has_ended
        });
        Collected {
            epoll,
            is_new: epoll || has_ended,
        }
    }

    /// Ends all operations. Returns whether that is sure.
    fn end(&mut self) -> bool {
        self.queue_plans(false);
        self.operations.cancel_all();
        while self.operations.under_way() > 0 {
            let patience = Instant::now() + Duration::from_secs(1);
            match self.operations.enter(Wait::Until(patience)) {
                Ok(WaitEnd::Ordinary) => self.collect(),
                _ => return false,
            };
        }
        true
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.front.as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let is_sure = self.end();
        self.shared.work(Connections::strand);
        if !is_sure {
            mem::forget(Arc::clone(&self.shared));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
