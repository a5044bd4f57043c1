//! Whether receives may go on from message to message.
//!
//! One that does saves an entry of the queue for each message. But it must not bring a connection more than a buffer
//! holds before that is taken. Kernels can limit it since Linux 6.17, so a ring tries that once.

use std::{
    io,
    time::{Duration, Instant},
};

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

use super::Ring;
use crate::ground::wait::Wait;

impl Ring {
    /// Lets receives go on, if the kernel can limit them. For a ring without connections.
    pub(super) fn try_multishot(&mut self) -> io::Result<()> {
        let (kind, flags) = (SocketType::STREAM, SocketFlags::CLOEXEC);
        let (near, far) = socketpair(AddressFamily::UNIX, kind, flags, None)?;
        send(&far, b"xxx", SendFlags::NOSIGNAL)?;
        self.operations.add_limited(&near, 2);
        let mut seen = Vec::new();
        let mut connections = self.shared.lock();
        let patience = Instant::now() + Duration::from_secs(1);
        while self.operations.under_way() > 0 && Instant::now() < patience {
            self.operations.enter(Wait::Until(patience))?;
            for completion in self.operations.completed() {
                if let Some(number) = completion.buffer {
                    // SAFETY: K2: this is the completion.
                    let lent = unsafe { connections.buffers.taken(number, 0) };
                    connections.buffers.give_back(lent);
                }
                seen.push((completion.outcome, completion.goes_on));
            }
        }
        connections.is_multishot = seen == [(Ok(1), true), (Ok(1), false)];
        drop(connections);
        // On no kernel that is known is it still under way.
        if self.operations.under_way() > 0 && !self.end() {
            return Err(io::Error::other("io_uring does not end a receive"));
        }
        Ok(())
    }
}
