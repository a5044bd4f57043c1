//! Accepting clients while there is room for them.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    time::{Duration, Instant},
};

use batchloop_core::{Access, Handle, Turn};
use rustix::{
    io::Errno,
    net::{SocketFlags, accept_with, listen, sockopt},
};

use crate::{
    multiplexer::Multiplexer,
    multiplexer::{producer::Producer, registry::Registry},
    stream::Stream,
};

/// How many clients the kernel may keep waiting; it may have a smaller limit of its own.
const BACKLOG: i32 = 4096;

/// How many clients one turn accepts at most, so that the clients that are connected have their turns too.
const AT_ONCE: usize = match cfg!(test) {
    false => 256,
    true => 4,
};

/// How soon accepting is tried again where the system has no descriptor left and no client of ours leaves.
const RETRY: Duration = Duration::from_secs(1);

/// Counters kept by a [`Listener`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Accepted {
    /// Clients that were accepted.
    pub clients: u64,
    /// How often clients had to wait because there was no slot, or no other room that they need.
    pub no_slot: u64,
    /// How often clients had to wait because there was no descriptor, or no memory for it.
    pub no_descriptor: u64,
    /// Clients that were accepted and could not be registered: the kernel has a limit for that too. They were
    /// turned away.
    pub turned_away: u64,
}

/// Why clients wait in the kernel.
#[derive(Clone, Copy, Debug)]
enum Pause {
    NoSlot,
    /// Until fewer states live than did then, or this time.
    NoDescriptor(usize, Instant),
}

/// A listening socket whose clients become states, while there are slots and descriptors for them.
///
/// A client is accepted when its slot is reserved, so none is accepted only to be turned away. While there is no slot,
/// or no descriptor, the listener is not asked at all and clients wait in the kernel's queue. A slot that is given back
/// makes it try again.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    waiting: Producer,
    pause: Option<Pause>,
    stopped: bool,
    accepted: Accepted,
}

impl Listener {
    /// Listens at an address, for a loop that polls this multiplexer.
    ///
    /// Clients' sockets do not block, are closed on exec, and send at once what they are given (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// An address that is taken, not ours, or no address at all; too many descriptors.
    pub fn bind(multiplexer: &mut Multiplexer, address: impl ToSocketAddrs) -> io::Result<Self> {
        let socket = TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        // Clients' sockets inherit it.
        sockopt::set_tcp_nodelay(&socket, true)?;
        listen(&socket, BACKLOG)?;
        Ok(Listener {
            waiting: multiplexer.add_producer(&socket)?,
            socket,
            pause: None,
            stopped: false,
            accepted: Accepted::default(),
        })
    }

    /// Accepts the clients that wait, as far as there is room, and makes a state of each. Its stream is registered:
    /// with the registry of this turn's machine, so that its events reach that state.
    ///
    /// For the beginning of each turn; the states are in its [`arrivals`](Turn::arrivals).
    pub fn accept<T, A: Access>(
        &mut self,
        cx: &Turn<'_, T, A>,
        registry: &Registry,
        mut state: impl FnMut(Stream) -> T,
    ) {
        let nothing_else = || Ok(Some(()));
        self.accept_with(cx, registry, nothing_else, |stream, _, ()| state(stream));
    }

    /// As [`accept`](Self::accept), for clients that need more room than their slot: a slot of another machine, say, and a
    /// descriptor.
    ///
    /// `room` is asked before each client is accepted. It returns `None` if there is none, and what gives some
    /// back must ring a counter that this thread watches, as a slot does that is given back after a reservation
    /// has failed. An error is a lack of descriptors. `state` gets the room, and the handle that the state will have.
    pub fn accept_with<T, A: Access, R>(
        &mut self,
        cx: &Turn<'_, T, A>,
        registry: &Registry,
        mut room: impl FnMut() -> io::Result<Option<R>>,
        mut state: impl FnMut(Stream, Handle<T>, R) -> T,
    ) {
        if self.stopped || !self.waiting.is_ready() || self.lacks_a_descriptor(cx) {
            return;
        }
        for _ in 0..AT_ONCE {
            let Ok(slot) = cx.reserve() else {
                return self.wait_for_a_slot();
            };
            let room = match room() {
                Ok(Some(room)) => room,
                Ok(None) => return self.wait_for_a_slot(),
                Err(_) => {
                    drop(slot);
                    return self.wait_for_a_descriptor(cx);
                }
            };
            match accept_with(&self.socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => {
                    self.pause = None;
                    let mut stream = Stream::new(socket);
                    match registry.attach_new(&mut stream, slot.handle().token()) {
                        Ok(()) => {
                            self.accepted.clients += 1;
                            let handle = slot.handle();
                            slot.commit(state(stream, handle, room));
                        }
                        Err(_) => self.accepted.turned_away += 1,
                    }
                }
                Err(Errno::AGAIN) => {
                    self.pause = None;
                    self.waiting.exhausted();
                    return;
                }
                Err(error) if is_the_clients(error) => {}
                Err(_) => {
                    drop((slot, room));
                    return self.wait_for_a_descriptor(cx);
                }
            }
        }
        // There may be more of them, and no edge will tell.
        cx.machine().counter().ring();
    }

    fn wait_for_a_slot(&mut self) {
        if !matches!(self.pause, Some(Pause::NoSlot)) {
            self.accepted.no_slot += 1;
        }
        self.pause = Some(Pause::NoSlot);
    }

    fn wait_for_a_descriptor<T, A: Access>(&mut self, cx: &Turn<'_, T, A>) {
        self.accepted.no_descriptor += 1;
        let retry = Instant::now() + RETRY;
        // Asked for first: what is given back later rings, and what was given back before is not counted as live.
        cx.machine().ring_when_freed();
        self.pause = Some(Pause::NoDescriptor(cx.machine().live(), retry));
    }

    fn lacks_a_descriptor<T, A: Access>(&self, cx: &Turn<'_, T, A>) -> bool {
        let Some(Pause::NoDescriptor(live, retry)) = self.pause else {
            return false;
        };
        cx.machine().ring_when_freed();
        cx.machine().live() >= live && Instant::now() < retry
    }

    /// When to try again for a descriptor, even if no client has left: to sleep no longer than that.
    pub fn deadline(&self) -> Option<Instant> {
        match self.pause {
            Some(Pause::NoDescriptor(_, retry)) if !self.stopped => Some(retry),
            _ => None,
        }
    }

    /// Accepts no more clients. Those that wait are refused when the listener is dropped.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// The counters.
    pub fn accepted(&self) -> Accepted {
        self.accepted
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// The kernel's; none is expected.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// Whether the error concerns only this connection, so that accepting can continue.
fn is_the_clients(error: Errno) -> bool {
    matches!(
        error,
        Errno::CONNABORTED
            | Errno::INTR
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::OPNOTSUPP
            | Errno::NETUNREACH
            | Errno::NETDOWN
            | Errno::PERM
    )
}

#[cfg(all(test, not(loom)))]
mod tests;
