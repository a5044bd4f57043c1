//! A bell that epoll can hear.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use batchloop_core::Bell;
use rustix::{
    event::{EventfdFlags, eventfd},
    io::{Errno, read, retry_on_intr, write},
};

/// An eventfd: each ring makes it readable, and makes a new edge for an edge-triggered epoll.
///
/// *Progress*: ringing is one system call, never blocks, and is async-signal-safe.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// A new eventfd, closed on exec.
    ///
    /// # Errors
    ///
    /// The kernel's, where there are too many descriptors.
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(EventFd(eventfd(0, flags)?))
    }

    /// Adds to the eventfd's count. A count that is full is emptied first, so that there is an edge in any case.
    fn add(&self, count: u64) {
        loop {
            match retry_on_intr(|| write(&self.0, &count.to_ne_bytes())) {
                Err(Errno::AGAIN) => {
                    self.drain();
                }
                // The descriptor is ours and open, and the count is legal: nothing else can fail.
                _ => return,
            }
        }
    }

    /// Empties the count and returns what it was. An edge-triggered epoll does not need it.
    pub fn drain(&self) -> u64 {
        let mut count = [0; 8];
        match retry_on_intr(|| read(&self.0, &mut count)) {
            Ok(8) => u64::from_ne_bytes(count),
            _ => 0,
        }
    }
}

impl Bell for EventFd {
    fn ring(&self) {
        self.add(1);
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn rings_add_up_until_they_are_drained() {
        let bell = EventFd::new().unwrap();
        assert_eq!(bell.drain(), 0);
        bell.ring();
        bell.ring();
        assert_eq!(bell.drain(), 2);
        assert_eq!(bell.drain(), 0);
    }

    #[test]
    fn a_full_count_still_takes_a_ring() {
        let bell = EventFd::new().unwrap();
        bell.add(u64::MAX - 1);
        bell.ring();
        assert_eq!(bell.drain(), 1);
    }
}
