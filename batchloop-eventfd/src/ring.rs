//! One io_uring for all streams of a thread: what a turn's closures send is queued, and one system call submits it all
//! and waits.
//!
//! Each attached connection has one receive under way, which brings what comes in one of the buffers that all
//! connections share. Before each wait, buffers go back to the kernel: what was not taken until then is copied, and that
//! connection receives no more until it is. So no client can keep them from the others, nor the memory that a flood of
//! bytes would need. Meanwhile the ring watches the connection for errors.
//!
//! What is sent is copied, too, and is the ring's until the kernel is through with it. It is first sent as far as it fits
//! at once, which ends while it is submitted and is not reported: so a wait is for news only. What does not fit is sent in
//! a second operation.
//!
//! A stream that is dropped meanwhile frees its state's slot at once: the connection stays behind until its operations
//! have ended, and is named in them by its place and generation. One that goes elsewhere is let go of in the same way:
//! see `succession`.
//!
//! All that epoll waits for, it still does: the ring waits for the epoll instance.
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
//!
//! [`Lent`]: buffers::Lent

mod attached;
mod buffers;
mod connection;
mod connections;
mod succession;

use std::{
    io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    ptr,
    sync::Arc,
    time::{Duration, Instant},
};

use io_uring::{
    IoUring, cqueue, opcode, squeue,
    types::{CancelBuilder, Fd, SubmitArgs, Timespec},
};
use rustix::{
    event::{
        PollFlags,
        epoll::{CreateFlags, EventData, EventFlags, add, create},
    },
    io::Errno,
    net::{RecvFlags, SendFlags},
};

use crate::{
    bell::OneRing,
    epoll::{Wait, translate},
    event_fd::EventFd,
};

pub(crate) use attached::Attached;
use connection::{Manner, Operation};
pub(crate) use connections::Shared;
use connections::{Connections, Name, News};
pub(crate) use succession::Past;

/// How many operations one system call submits at most. More need more calls.
const SUBMISSIONS: u32 = 1024;

/// How many completions fit; the kernel keeps more, at some cost.
const COMPLETIONS: u32 = 4 * SUBMISSIONS;

/// How long one attempt to send the last bytes of a connection whose stream has been dropped may take.
static LINGER: Timespec = match cfg!(test) {
    false => Timespec::new().sec(10),
    true => Timespec::new().nsec(50_000_000),
};

/// The flag of a receive that something should be awaited first (`IORING_RECVSEND_POLL_FIRST`).
const POLL_FIRST: u16 = 1;

/// What a completion is of; in the upper bits, with the connection's name below.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Kind {
    Receive = 1,
    Send,
    /// A send that is reported only if it could not send all.
    QuickSend,
    Watch,
    Epoll,
    /// Of which only the other operation's completion matters.
    Cancel,
}

impl Kind {
    fn to_data(self, name: u64) -> u64 {
        (self as u64) << 56 | name
    }

    fn from_data(data: u64) -> Self {
        let kinds = [
            Kind::Receive,
            Kind::Send,
            Kind::QuickSend,
            Kind::Watch,
            Kind::Epoll,
        ];
        let kind = kinds.into_iter().find(|kind| data >> 56 == *kind as u64);
        kind.unwrap_or(Kind::Cancel)
    }
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Entered {
    /// There are completions, perhaps.
    Ordinary,
    /// Time is over, or a signal handler has run.
    Over,
}

/// What has been completed, beside what states should know.
struct Collected {
    /// Epoll has something.
    epoll: bool,
    /// Something that the thread should look at.
    is_news: bool,
}

/// The thread's side.
pub(crate) struct Ring {
    queue: Queue,
    shared: Arc<Shared>,
    epoll: Arc<OwnedFd>,
    waits_for_epoll: bool,
    /// What another library's loop waits for: the next two. The ring's own descriptor does not do, because it is not
    /// readable while what has ended waits for this thread to enter the kernel.
    front: OwnedFd,
    /// Readable when an operation has ended.
    notice: EventFd,
    is_hosted: bool,
    news: Vec<News>,
}

impl Ring {
    pub(crate) fn new(epoll: Arc<OwnedFd>, bell: &'static OneRing<EventFd>) -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_cqsize(COMPLETIONS)
            .setup_submit_all()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .build(SUBMISSIONS)
            .map_err(explained)?;
        let shared = Arc::new(Shared::new(bell));
        // SAFETY: K1: the ring ends all operations before it lets go of what it shares, or never does.
        unsafe { shared.lock().buffers.register(&uring) }.map_err(explained)?;
        let (front, notice) = (create(CreateFlags::CLOEXEC)?, EventFd::new()?);
        add(&front, &notice, EventData::new_u64(0), EventFlags::IN)?;
        add(&front, &*epoll, EventData::new_u64(1), EventFlags::IN)?;
        Ok(Ring {
            queue: Queue {
                uring,
                under_way: 0,
            },
            shared,
            epoll,
            waits_for_epoll: false,
            front,
            notice,
            is_hosted: false,
            news: Vec::new(),
        })
    }

    /// A stream's end of a connection from now on.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Submits what is queued, and waits as it is said. Answers whether epoll has something.
    pub(crate) fn wait(&mut self, wait: Wait) -> io::Result<bool> {
        loop {
            self.queue_plans(wait != Wait::Not);
            // What states should know already does not wait.
            let how = if self.is_quiet() { wait } else { Wait::Not };
            let entered = self.queue.enter(how)?;
            let collected = self.collect();
            let is_over = wait == Wait::Not || entered == Entered::Over;
            if is_over || collected.is_news || !self.news.is_empty() {
                return Ok(collected.epoll);
            }
        }
    }

    /// What has happened to states' connections.
    pub(crate) fn news(&mut self) -> impl Iterator<Item = News> + '_ {
        self.news.drain(..)
    }

    /// Whether nothing has happened to them.
    pub(crate) fn is_quiet(&self) -> bool {
        self.news.is_empty()
    }

    /// What happens from now on makes its descriptor readable.
    pub(crate) fn host(&mut self) -> io::Result<()> {
        if !self.is_hosted {
            let notice = self.notice.as_fd().as_raw_fd();
            self.queue.uring.submitter().register_eventfd(notice)?;
            self.is_hosted = true;
        }
        Ok(())
    }

    /// From now on, who has something to queue rings, and the descriptor is readable when there is news. Not if there is
    /// something already.
    pub(crate) fn lie_down(&mut self) -> bool {
        self.notice.drain();
        // Looked for after the notice of it may have been taken.
        let uring = &mut self.queue.uring;
        if uring.submission().taskrun() || !uring.completion().is_empty() {
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
        self.news.extend(connections.news());
        connections.sleeps = sleeps && self.news.is_empty();
        connections.plan(|name, fd, operation| {
            // SAFETY: K1, K3: the connection keeps what it sends until the completion.
            unsafe { self.queue.add(name, fd, operation) };
        });
        drop(connections);
        if !self.waits_for_epoll {
            let readable = PollFlags::IN.bits().into();
            let poll = opcode::PollAdd::new(Fd(self.epoll.as_raw_fd()), readable).multi(true);
            // SAFETY: K1: it refers to no memory.
            unsafe { self.queue.push(poll.build(), Kind::Epoll.to_data(0)) };
            self.waits_for_epoll = true;
        }
    }

    /// Takes what has been completed.
    fn collect(&mut self) -> Collected {
        let mut epoll = false;
        let has_ended = self.shared.work(|connections| {
            connections.sleeps = false;
            for completion in self.queue.uring.completion() {
                let (data, flags) = (completion.user_data(), completion.flags());
                let goes_on = cqueue::more(flags);
                let outcome = match completion.result() {
                    result if result < 0 => Err(Errno::from_raw_os_error(-result)),
                    result => Ok(result as u32),
                };
                let (kind, name) = (Kind::from_data(data), Name::from_bits(data));
                if !goes_on && kind != Kind::QuickSend {
                    self.queue.under_way -= 1;
                }
                let news = match kind {
                    Kind::Receive => {
                        let bytes = *outcome.as_ref().unwrap_or(&0);
                        let lent = cqueue::buffer_select(flags).map(|number| {
                            // SAFETY: K2: this is the completion.
                            unsafe { connections.buffers.taken(number, bytes) }
                        });
                        let is_full = outcome == Ok(buffers::SIZE as u32);
                        let has_more = is_full || cqueue::sock_nonempty(flags);
                        connections.received(name, outcome, lent, has_more)
                    }
                    Kind::Send | Kind::QuickSend => connections.sent(name, outcome),
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
                self.news.extend(news);
            }
            if self.queue.is_submitted() {
                connections.submitted();
            }
            self.news.extend(connections.news());
            connections.has_ended
        });
        Collected {
            epoll,
            is_news: epoll || has_ended,
        }
    }

    /// Ends all operations. Answers whether that is sure.
    fn end(&mut self) -> bool {
        self.queue_plans(false);
        let all = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        // SAFETY: K1: it refers to no memory.
        unsafe { self.queue.push(all, Kind::Cancel.to_data(0)) };
        while self.queue.under_way > 0 {
            let patience = Instant::now() + Duration::from_secs(1);
            match self.queue.enter(Wait::Until(patience)) {
                Ok(Entered::Ordinary) => self.collect(),
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

/// What goes to the kernel.
struct Queue {
    uring: IoUring,
    /// Operations that have not ended, and will be reported.
    under_way: usize,
}

impl Queue {
    /// # Safety
    ///
    /// K1, K3: what the operation refers to is left alone until its last completion. So with all that are unsafe here.
    unsafe fn add(&mut self, name: Name, fd: RawFd, operation: Operation<'_>) {
        let fd = Fd(fd);
        let cancel = |kind: Kind| opcode::AsyncCancel::new(kind.to_data(name.to_bits())).build();
        let (entry, kind) = match operation {
            Operation::Receive { at_once } => {
                let receive = opcode::Recv::new(fd, ptr::null_mut(), 0).buf_group(buffers::GROUP);
                let receive = receive.ioprio(if at_once { 0 } else { POLL_FIRST });
                let receive = receive.build().flags(squeue::Flags::BUFFER_SELECT);
                (receive, Kind::Receive)
            }
            Operation::Watch { readable } => {
                let mut events = PollFlags::empty();
                events.set(PollFlags::IN | PollFlags::RDHUP, readable);
                let watch = opcode::PollAdd::new(fd, events.bits().into()).multi(true);
                (watch.build(), Kind::Watch)
            }
            Operation::Send { bytes, manner } => {
                // SAFETY: K1, K3: the caller's promise.
                return unsafe { self.add_send(name, fd, bytes, manner) };
            }
            Operation::StopReceiving => (cancel(Kind::Receive), Kind::Cancel),
            Operation::StopWatching => (cancel(Kind::Watch), Kind::Cancel),
            Operation::StopSending => (cancel(Kind::Send), Kind::Cancel),
        };
        // SAFETY: K1: none of these refers to memory but the buffers, which the ring keeps.
        unsafe { self.push(entry, kind.to_data(name.to_bits())) };
    }

    unsafe fn add_send(&mut self, name: Name, fd: Fd, bytes: &[u8], manner: Manner) {
        let all = RecvFlags::WAITALL.bits() | SendFlags::NOSIGNAL.bits();
        let flags = match manner {
            Manner::Quick | Manner::Reported => all | SendFlags::DONTWAIT.bits(),
            Manner::Patient | Manner::Hasty => all,
        };
        let send = opcode::Send::new(fd, bytes.as_ptr(), bytes.len() as u32);
        let send = send.flags(flags as i32).build();
        let data = Kind::Send.to_data(name.to_bits());
        match manner {
            Manner::Quick => {
                let data = Kind::QuickSend.to_data(name.to_bits());
                let send = send.flags(squeue::Flags::SKIP_SUCCESS).user_data(data);
                // SAFETY: K1, K3: the caller's promise.
                unsafe { self.push_all(&[send]) };
            }
            // SAFETY: K1, K3: the caller's promise.
            Manner::Reported | Manner::Patient => unsafe { self.push(send, data) },
            // SAFETY: K1, K3: the caller's promise.
            Manner::Hasty => unsafe { self.push_pair(send, data) },
        }
    }

    /// Whether the kernel has taken all entries, and the reports of those that failed at once are here.
    fn is_submitted(&mut self) -> bool {
        let submissions = self.uring.submission();
        submissions.is_empty() && !submissions.cq_overflow()
    }

    unsafe fn push(&mut self, entry: squeue::Entry, data: u64) {
        self.under_way += 1;
        // SAFETY: K1, K3: the caller's promise.
        unsafe { self.push_all(&[entry.user_data(data)]) };
    }

    /// Queues an operation that is given up if it takes too long.
    unsafe fn push_pair(&mut self, entry: squeue::Entry, data: u64) {
        let entry = entry.user_data(data).flags(squeue::Flags::IO_LINK);
        let limit = opcode::LinkTimeout::new(&raw const LINGER).build();
        self.under_way += 2;
        let limit = limit.user_data(Kind::Cancel.to_data(0));
        // SAFETY: K1, K3: the caller's promise, and the limit is a `static`.
        unsafe { self.push_all(&[entry, limit]) };
    }

    /// Queues operations. If there is no room, what is there is submitted first.
    unsafe fn push_all(&mut self, entries: &[squeue::Entry]) {
        loop {
            let mut submissions = self.uring.submission();
            // SAFETY: K1, K3: the caller's promise.
            if unsafe { submissions.push_multiple(entries) }.is_ok() {
                return;
            }
            drop(submissions);
            // What can go wrong with entries of ours is a lack of memory, which passes.
            let _ = self.uring.submit();
        }
    }

    /// The one system call of a turn.
    fn enter(&mut self, wait: Wait) -> io::Result<Entered> {
        let submitter = self.uring.submitter();
        let entered = match wait {
            Wait::Not => submitter.submit(),
            Wait::ForEver => submitter.submit_and_wait(1),
            Wait::Until(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                let left = Timespec::from(left);
                submitter.submit_with_args(1, &SubmitArgs::new().timespec(&left))
            }
        };
        let error = match entered {
            Ok(_) => return Ok(Entered::Ordinary),
            Err(error) => error,
        };
        match Errno::from_io_error(&error) {
            Some(Errno::TIME) => Ok(Entered::Over),
            // What has ended by then is completed all the same, as in `epoll::wait`.
            Some(Errno::INTR) if wait != Wait::Not => {
                self.enter(Wait::Not)?;
                Ok(Entered::Over)
            }
            Some(Errno::INTR) => Ok(Entered::Over),
            // Completions must be collected first, or memory is short for the moment.
            Some(Errno::BUSY | Errno::AGAIN) => Ok(Entered::Ordinary),
            _ => Err(error),
        }
    }
}

fn explained(error: io::Error) -> io::Error {
    let why = match Errno::from_io_error(&error) {
        Some(Errno::NOSYS) => "this kernel has no io_uring",
        Some(Errno::PERM | Errno::ACCESS) => {
            "io_uring is forbidden here (kernel.io_uring_disabled, or a filter of system calls)"
        }
        Some(Errno::INVAL) => "io_uring of Linux 6.1 or later is needed",
        Some(Errno::NOMEM) => "io_uring needs more locked memory than is allowed (ulimit -l)",
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{why}: {error}"))
}

#[cfg(all(test, not(loom)))]
mod tests;
