//! One client: what has come from it, and what is to go.

use std::{io, mem};

use batchloop_eventfd::Stream;
use batchloop_examples::Backend;

use crate::{
    ROOM,
    many::Job,
    memory::{Memory, allocated},
    request::Request,
};

/// An answer of which more than this is left is kept where it is, and not copied.
const COPIED: usize = 16 * 1024;

/// What a ring has of the answers to a client that does not read: what it sends, and as much that comes next.
const SENDING: usize = 128 * 1024;

/// How much more memory than it needs a request that is not whole keeps, beside as much again.
const IDLE: usize = 1024;

/// The state of one client.
pub(crate) struct Client {
    pub(crate) stream: Stream,
    /// What has come and is not worked on, because it is no whole request, or because answers wait.
    pub(crate) input: Vec<u8>,
    /// How far the first request of it is read.
    pub(crate) request: Request,
    /// What is left to do of that request, and how long it is.
    pub(crate) job: Option<Box<Job>>,
    pub(crate) whole: usize,
    /// Whether there may be a whole request in `input`.
    pub(crate) has_more: bool,
    /// The answers that could not be sent yet.
    owed: Vec<u8>,
    sent: usize,
    /// What those cost that are being sent, beside the kernel's memory.
    sending: usize,
    pub(crate) leaves: bool,
    /// What it is counted with in [`Memory`].
    held: usize,
}

impl Client {
    pub(crate) fn new(stream: Stream, backend: Backend) -> Self {
        Client {
            stream,
            input: Vec::new(),
            request: Request::default(),
            job: None,
            whole: 0,
            has_more: false,
            owed: Vec::new(),
            sent: 0,
            sending: match backend {
                Backend::Epoll => 0,
                Backend::Uring => SENDING,
            },
            leaves: false,
            held: 0,
        }
    }

    /// How much memory it has, beside its slot and the places of a few words.
    #[inline]
    fn size(&self) -> usize {
        let nothing = self.input.capacity() | self.owed.capacity() == 0;
        if nothing && self.job.is_none() && self.request.is_small() {
            return 0;
        }
        let owed = match self.owed.capacity() {
            0 => 0,
            bytes => allocated(bytes) + self.sending,
        };
        let buffers = allocated(self.input.capacity()) + owed;
        let job = self.job.as_ref().map_or(0, |job| job.size());
        buffers + self.request.size() + job
    }

    /// Counts what it has.
    #[inline]
    pub(crate) fn count(&mut self, memory: &mut Memory) {
        let size = self.size();
        memory.hold(&mut self.held, size);
    }

    /// Does not count what its job has, while that is worked on.
    pub(crate) fn count_without_job(&mut self, memory: &mut Memory) {
        if let Some(job) = &self.job {
            let others = self.held.saturating_sub(job.size());
            memory.hold(&mut self.held, others);
        }
    }

    /// It is gone.
    pub(crate) fn forget(&mut self, memory: &mut Memory) {
        memory.hold(&mut self.held, 0);
    }

    pub(crate) fn is_owed(&self) -> bool {
        !self.owed.is_empty()
    }

    /// It gets the rest of its answers, and asks no more.
    pub(crate) fn leave(&mut self) {
        self.input = Vec::new();
        self.request = Request::default();
        self.job = None;
    }

    /// Whether it may keep so many more bytes.
    pub(crate) fn may_keep(&self, bytes: usize, memory: &Memory) -> bool {
        memory.may_hold(self.held, self.size() + allocated(bytes))
    }

    /// Makes room for more bytes behind those of a request that is not whole. Returns false if there is no memory for it.
    pub(crate) fn make_room(&self, input: &mut Vec<u8>, more: usize, memory: &Memory) -> bool {
        let needed = input.len() + more;
        if needed <= input.capacity() {
            return true;
        }
        // What is announced may never come, so memory grows with what has. Nor is there much beyond the end of a request.
        let half_more = input.capacity() + input.capacity() / 2;
        let end = half_more.max(self.request.least() + ROOM);
        let wanted = needed.max(end.min(2 * input.capacity()));
        if !self.may_keep(wanted, memory) {
            return false;
        }
        input.reserve_exact(wanted - input.len());
        true
    }

    /// Keeps bytes that are not worked on, and no more memory than they need.
    pub(crate) fn keep(&mut self, mut input: Vec<u8>, done: usize) {
        input.drain(..done);
        if input.is_empty() || input.capacity() > 2 * input.len() + IDLE {
            input.shrink_to_fit();
        }
        self.input = input;
    }

    /// Sends answers, and keeps what does not go.
    ///
    /// # Errors
    ///
    /// The connection is at its end, or there is no memory for what does not go.
    #[inline]
    pub(crate) fn answer(&mut self, replies: &mut Vec<u8>, memory: &Memory) -> io::Result<()> {
        let sent = match self.owed.is_empty() {
            true => self.stream.send(replies)?,
            false => 0,
        };
        match replies.len() == sent {
            true => Ok(()),
            false => self.owe(replies, sent, memory),
        }
    }

    fn owe(&mut self, replies: &mut Vec<u8>, sent: usize, memory: &Memory) -> io::Result<()> {
        let rest = replies.len() - sent;
        let is_long = rest > COPIED && self.owed.is_empty();
        let kept = if is_long { replies.len() } else { rest };
        if !self.may_keep(kept + self.sending, memory) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if is_long {
            self.owed = mem::take(replies);
            self.owed.shrink_to_fit();
            self.sent = sent;
        } else {
            self.owed.extend_from_slice(&replies[sent..]);
        }
        Ok(())
    }

    /// Sends what is owed. Returns whether that was all.
    pub(crate) fn settle(&mut self) -> io::Result<bool> {
        if self.owed.is_empty() {
            return Ok(true);
        }
        self.sent += self.stream.send(&self.owed[self.sent..])?;
        let is_all = self.sent == self.owed.len();
        if is_all {
            self.owed = Vec::new();
            self.sent = 0;
        }
        Ok(is_all)
    }
}
