//! Waiting with epoll alone.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use batchloop_core::Events;
use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, Event},
    },
    io::Errno,
};

use crate::ground::{mark::Mark, readiness::translate, wait::Wait};

/// How many events one system call reports at most. More are reported by the next one.
pub(crate) const EVENTS_AT_ONCE: usize = match cfg!(test) {
    false => 1024,
    true => 8,
};

pub(crate) struct Epoll {
    instance: Arc<OwnedFd>,
    events: Vec<Event>,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        let instance = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Epoll {
            instance: Arc::new(instance),
            events: Vec::with_capacity(EVENTS_AT_ONCE),
        })
    }

    pub(super) fn epoll(&self) -> &Arc<OwnedFd> {
        &self.instance
    }

    pub(super) fn wait(&mut self, how: Wait) -> io::Result<()> {
        collect(&self.instance, &mut self.events, how)
    }

    /// Whether the last wait brought all that one system call can report: there may be more.
    #[cfg(io_uring)]
    pub(super) fn is_full(&self) -> bool {
        self.events.len() == EVENTS_AT_ONCE
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn deliver(&mut self, mut to: impl FnMut(Mark, Events)) {
        for event in self.events.drain(..) {
            to(Mark::from_data(event.data), translate(event.flags));
        }
    }

    /// An epoll instance is readable whenever something that is registered is.
    pub(super) fn enable_notify(&mut self) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn prepare_sleep(&mut self) -> bool {
        true
    }

    /// The kernel sends what it has been given.
    pub(super) fn lingering(&self) -> usize {
        0
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.instance.as_fd()
    }
}

/// Waits for events, and puts them behind those that are in `events`.
fn collect(epoll: &OwnedFd, events: &mut Vec<Event>, wait: Wait) -> io::Result<()> {
    let left = wait.left();
    let answer = match epoll::wait(epoll, spare_capacity(events), left.map(exact).as_ref()) {
        // A kernel before 5.11, which counts in milliseconds.
        Err(Errno::NOSYS | Errno::INVAL) => {
            epoll::wait(epoll, spare_capacity(events), left.map(rounded_up).as_ref())
        }
        answer => answer,
    };
    let answer = match answer {
        Err(Errno::INTR) => {
            let at_once = rounded_up(Duration::ZERO);
            epoll::wait(epoll, spare_capacity(events), Some(&at_once))
        }
        answer => answer,
    };
    match answer {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn exact(left: Duration) -> Timespec {
    Timespec {
        tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    }
}

fn rounded_up(left: Duration) -> Timespec {
    /// About 24 days: what an old kernel can wait for at once.
    const LONGEST: u64 = i32::MAX as u64 / 1000;
    let milliseconds = left.subsec_nanos().div_ceil(1_000_000);
    exact(
        Duration::from_secs(left.as_secs().min(LONGEST - 1))
            + Duration::from_millis(milliseconds.into()),
    )
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_wait_for_whole_milliseconds_and_not_less() {
        assert_eq!(rounded_up(Duration::from_nanos(1)).tv_nsec, 1_000_000);
        assert_eq!(rounded_up(Duration::from_millis(7)).tv_nsec, 7_000_000);
        assert_eq!(rounded_up(Duration::MAX).tv_sec, 2_147_483);
    }
}
