//! The kernel's two queues: what operations become when they are submitted, and what they become when they have ended.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, RawFd},
    ptr,
    time::Instant,
};

use io_uring::{
    IoUring, cqueue, opcode, squeue,
    types::{CancelBuilder, Fd, SubmitArgs, Timespec},
};
use rustix::{
    event::PollFlags,
    io::Errno,
    net::{RecvFlags, SendFlags},
};

use super::{
    buffers::{self, Buffers},
    name::Name,
    operation::{Operation, SendMode, Watched},
};
use crate::ground::wait::Wait;

/// How many operations one system call submits at most. More need more calls.
const SUBMISSIONS: u32 = 1024;

/// How many completions fit; the kernel keeps more, at some cost.
const COMPLETIONS: u32 = 4 * SUBMISSIONS;

/// How long one attempt to send the last bytes of a connection whose stream has been dropped may take.
static ATTEMPT: Timespec = match cfg!(test) {
    false => Timespec::new().sec(10),
    true => Timespec::new().nsec(50_000_000),
};

/// The flag of a receive that something should be awaited first (`IORING_RECVSEND_POLL_FIRST`).
const POLL_FIRST: u16 = 1;

/// The flag of a receive that goes on (`IORING_RECV_MULTISHOT`).
const MULTISHOT: u16 = 2;

/// What a completion is of; in the upper bits, with the connection's name below.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    Receive = 1,
    Send,
    /// A send that is reported only if it could not send all.
    UnreportedSend,
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
            Kind::UnreportedSend,
            Kind::Watch,
            Kind::Epoll,
        ];
        let kind = kinds.into_iter().find(|kind| data >> 56 == *kind as u64);
        kind.unwrap_or(Kind::Cancel)
    }
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum WaitEnd {
    /// There are completions, perhaps.
    Ordinary,
    /// Time is over, or a signal handler has run.
    Over,
}

/// What the kernel says of an operation.
pub(super) struct Completion {
    pub(super) kind: Kind,
    pub(super) name: Name,
    pub(super) outcome: Result<u32, Errno>,
    /// The operation has not ended.
    pub(super) goes_on: bool,
    /// The buffer that has been filled.
    pub(super) buffer: Option<u16>,
    /// The socket has more than was received.
    pub(super) has_more: bool,
}

/// What goes to the kernel, and what comes from there.
pub(super) struct Operations {
    uring: IoUring,
    /// Operations that have not ended, and will be reported.
    under_way: usize,
    /// How many have been queued.
    #[cfg(test)]
    pub(super) queued: usize,
}

impl Operations {
    pub(super) fn new() -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_cqsize(COMPLETIONS)
            .setup_submit_all()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .build(SUBMISSIONS)
            .map_err(explained)?;
        Ok(Operations {
            uring,
            under_way: 0,
            #[cfg(test)]
            queued: 0,
        })
    }

    /// Receives go into these buffers.
    ///
    /// # Safety
    ///
    /// K1: the buffers outlive all operations.
    pub(super) unsafe fn receive_into(&self, buffers: &Buffers) -> io::Result<()> {
        // SAFETY: K1: the caller's promise.
        unsafe { buffers.register(&self.uring) }.map_err(explained)
    }

    /// Lets each completion that comes from now on make a descriptor readable.
    pub(super) fn notify(&self, notice: impl AsFd) -> io::Result<()> {
        let notice = notice.as_fd().as_raw_fd();
        self.uring.submitter().register_eventfd(notice)
    }

    /// How many operations have not ended.
    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    /// Whether nothing has ended of which [`completed`](Self::completed) has not told.
    pub(super) fn is_quiet(&mut self) -> bool {
        !self.uring.submission().taskrun() && self.uring.completion().is_empty()
    }

    /// Takes what the kernel has said.
    pub(super) fn completed(&mut self) -> impl Iterator<Item = Completion> + '_ {
        let under_way = &mut self.under_way;
        self.uring.completion().map(move |completion| {
            let (data, flags) = (completion.user_data(), completion.flags());
            let (kind, goes_on) = (Kind::from_data(data), cqueue::more(flags));
            let outcome = match completion.result() {
                result if result < 0 => Err(Errno::from_raw_os_error(-result)),
                result => Ok(result as u32),
            };
            if !goes_on && kind != Kind::UnreportedSend {
                *under_way -= 1;
            }
            Completion {
                kind,
                name: Name::from_bits(data),
                outcome,
                goes_on,
                buffer: cqueue::buffer_select(flags),
                has_more: cqueue::sock_nonempty(flags),
            }
        })
    }

    /// Queues an operation of a connection.
    ///
    /// # Safety
    ///
    /// K1, K3: what the operation refers to is left alone until its last completion. So with all that are unsafe here.
    pub(super) unsafe fn add(&mut self, name: Name, fd: RawFd, operation: Operation<'_>) {
        let fd = Fd(fd);
        let cancel = |kind: Kind| opcode::AsyncCancel::new(kind.to_data(name.to_bits())).build();
        let (entry, kind) = match operation {
            Operation::Receive { at_once, multishot } => {
                let receive = match multishot {
                    true => receive_up_to(buffers::SIZE as u32, fd),
                    false => receive(fd, 0, if at_once { 0 } else { POLL_FIRST }),
                };
                (receive, Kind::Receive)
            }
            Operation::Watch(what) => {
                let events = match what {
                    Watched::Errors => PollFlags::empty(),
                    Watched::Ends => PollFlags::RDHUP,
                    Watched::Arrivals => PollFlags::IN | PollFlags::RDHUP,
                };
                let watch = opcode::PollAdd::new(fd, events.bits().into()).multi(true);
                (watch.build(), Kind::Watch)
            }
            Operation::Send { bytes, mode } => {
                // SAFETY: K1, K3: the caller's promise.
                return unsafe { self.add_send(name, fd, bytes, mode) };
            }
            Operation::StopReceiving => (cancel(Kind::Receive), Kind::Cancel),
            Operation::StopWatching => (cancel(Kind::Watch), Kind::Cancel),
            Operation::StopSending => (cancel(Kind::Send), Kind::Cancel),
        };
        // SAFETY: K1: none of these refers to memory but the buffers, which the ring keeps.
        unsafe { self.push(entry, kind.to_data(name.to_bits())) };
    }

    unsafe fn add_send(&mut self, name: Name, fd: Fd, bytes: &[u8], mode: SendMode) {
        let all = RecvFlags::WAITALL.bits() | SendFlags::NOSIGNAL.bits();
        let flags = match mode {
            SendMode::Unreported | SendMode::Reported => all | SendFlags::DONTWAIT.bits(),
            SendMode::Waiting | SendMode::Timed => all,
        };
        let send = opcode::Send::new(fd, bytes.as_ptr(), bytes.len() as u32);
        let send = send.flags(flags as i32).build();
        let data = Kind::Send.to_data(name.to_bits());
        match mode {
            SendMode::Unreported => {
                let data = Kind::UnreportedSend.to_data(name.to_bits());
                let send = send.flags(squeue::Flags::SKIP_SUCCESS).user_data(data);
                // SAFETY: K1, K3: the caller's promise.
                unsafe { self.push_all(&[send]) };
            }
            // SAFETY: K1, K3: the caller's promise.
            SendMode::Reported | SendMode::Waiting => unsafe { self.push(send, data) },
            // SAFETY: K1, K3: the caller's promise.
            SendMode::Timed => unsafe { self.push_pair(send, data) },
        }
    }

    /// Queues a wait for an epoll instance, which goes on.
    pub(super) fn add_epoll(&mut self, epoll: impl AsFd) {
        let readable = PollFlags::IN.bits().into();
        let epoll = Fd(epoll.as_fd().as_raw_fd());
        let poll = opcode::PollAdd::new(epoll, readable).multi(true);
        // SAFETY: K1: it refers to no memory.
        unsafe { self.push(poll.build(), Kind::Epoll.to_data(0)) };
    }

    /// Queues a receive that brings so many bytes at most, half of them at a time.
    pub(super) fn add_limited(&mut self, socket: impl AsFd, bytes: u32) {
        let socket = Fd(socket.as_fd().as_raw_fd());
        // SAFETY: K1: it refers to no memory but the buffers, which the ring keeps.
        unsafe { self.push(receive_up_to(bytes, socket), Kind::Receive.to_data(0)) };
    }

    /// Asks all operations to end.
    pub(super) fn cancel_all(&mut self) {
        let all = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        // SAFETY: K1: it refers to no memory.
        unsafe { self.push(all, Kind::Cancel.to_data(0)) };
    }

    /// Whether the kernel has taken all entries, and the reports of those that failed at once are here.
    pub(super) fn is_submitted(&mut self) -> bool {
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
        let limit = opcode::LinkTimeout::new(&raw const ATTEMPT).build();
        self.under_way += 2;
        let limit = limit.user_data(Kind::Cancel.to_data(0));
        // SAFETY: K1, K3: the caller's promise, and the limit is a `static`.
        unsafe { self.push_all(&[entry, limit]) };
    }

    /// Queues operations. If there is no room, what is there is submitted first.
    unsafe fn push_all(&mut self, entries: &[squeue::Entry]) {
        #[cfg(test)]
        (self.queued += entries.len());
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

    /// The one system call of a turn: submits what is queued, and waits.
    pub(super) fn enter(&mut self, wait: Wait) -> io::Result<WaitEnd> {
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
            Ok(_) => return Ok(WaitEnd::Ordinary),
            Err(error) => error,
        };
        match Errno::from_io_error(&error) {
            Some(Errno::TIME) => Ok(WaitEnd::Over),
            // What has ended by then is completed all the same, as in `epoll::wait`.
            Some(Errno::INTR) if wait != Wait::Not => {
                self.enter(Wait::Not)?;
                Ok(WaitEnd::Over)
            }
            Some(Errno::INTR) => Ok(WaitEnd::Over),
            // Completions must be collected first, or memory is short for the moment.
            Some(Errno::BUSY | Errno::AGAIN) => Ok(WaitEnd::Ordinary),
            _ => Err(error),
        }
    }
}

fn receive(fd: Fd, length: u32, how: u16) -> squeue::Entry {
    let receive = opcode::Recv::new(fd, ptr::null_mut(), length).buf_group(buffers::GROUP);
    let receive = receive.ioprio(how).build();
    receive.flags(squeue::Flags::BUFFER_SELECT)
}

/// A receive that goes on, and brings up to so many bytes in all: half of them at a time, until it has brought more than
/// half. Kernels that cannot limit it refuse it.
///
/// It does not await something first: of what is there when it begins to wait, the kernel lets it bring only the first.
fn receive_up_to(bytes: u32, fd: Fd) -> squeue::Entry {
    /// Where `struct io_uring_sqe` has its `optlen`, for which the builder of receives has no name.
    const LIMIT: usize = 44;
    const { assert!(size_of::<squeue::Entry>() == 64 && align_of::<squeue::Entry>() >= 4) };
    let mut entry = receive(fd, bytes / 2, MULTISHOT);
    let limit = (&raw mut entry).cast::<u8>().wrapping_add(LIMIT);
    // SAFETY: K4: these are four bytes of the entry, aligned.
    unsafe { limit.cast::<u32>().write(bytes / 2 + 1) };
    entry
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
